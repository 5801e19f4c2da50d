"""A result as Markdown and as tables in a terminal: the same rows, doubts beside the numbers they concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.result import Result, StageResult
from bench.stats import required_samples

HEADERS = (
    "target", "out tok/s", "decode tok/s", "prefill tok/s", "TTFT p50 ms", "TTFT p95 ms", "n", "verdict",
)  # fmt: skip
GLOSSARY = (
    "**out tok/s**: completion tokens of all requests / wall time of the stage, the drain included; median of the"
    " rounds.",
    "**decode tok/s**: per request (tokens - 1) / (last token - first token); median of the requests, then of the"
    " rounds. For the bare loop one sequence of the lockstep batch.",
    "**prefill tok/s**: as the target itself timed it, cached tokens left out; with several clients it would time their"
    " waiting for each other.",
    "**TTFT**: from the moment a request is due to its first text; p95 over the requests of all rounds, and only where"
    f" there are enough of them (p90 {required_samples(90)}, p95 {required_samples(95)}, p99 {required_samples(99)}).",
)


def markdown(result: Result) -> str:
    return "\n".join(_markdown_lines(result)) + "\n"


def print_report(result: Result, console: Console) -> None:
    for title, rows, notes in _sections(result):
        table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
        for header in HEADERS:
            is_name = header == HEADERS[0]
            table.add_column(header, justify="left" if is_name else "right", no_wrap=is_name)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for note in notes:
            console.print(f"  {note}", markup=False)
    for flag in result.validity:
        console.print(f"{flag.severity}: {flag.text}", markup=False)


def _markdown_lines(result: Result) -> Iterator[str]:
    yield f"# {result.scenario.text.name}: {result.scenario.text.model}"
    yield f"\n{result.created.wall}, {_setting(result)}"
    yield from (f"\n**{flag.severity}**: {flag.text}" for flag in result.validity)
    for title, rows, notes in _sections(result):
        yield f"\n## {title}\n"
        yield from _markdown_table(rows)
        yield ""
        yield from (f"- {note}" for note in notes)
    yield "\n## How to read this\n"
    yield from (f"- {entry}" for entry in GLOSSARY)
    yield "\n## What it was measured on\n"
    yield from _facts(result)


def _markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(HEADERS)} |"
    yield "|---" + "|---:" * (len(HEADERS) - 1) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _sections(result: Result) -> Iterator[tuple[str, list[list[str]], list[str]]]:
    """Title, rows and notes of each stage that was measured."""
    for load in result.scenario.text.load:
        stages = [stage for stage in result.stages if stage.stage == load.name]
        if stages:
            clients = f"{load.concurrency} client{'s' if load.concurrency > 1 else ''}"
            title = f"{load.name}: {clients}, about {load.prompts.isl} tokens in, {load.prompts.osl} out"
            notes = [*_comparisons(result, load.name), *_too_few(stages), *_doubts(stages)]
            yield title, [_row(stage) for stage in stages], notes


def _row(stage: StageResult) -> list[str]:
    rates, ttft = stage.rates, stage.metrics.get("ttft_ms")
    severities = {flag.severity for flag in stage.validity}
    verdict = next((severity for severity in ("invalid", "suspect") if severity in severities), "valid")
    prefill = rates.prefill_tok_s if stage.load.concurrency == 1 else None
    numbers = (rates.out_tok_s, rates.decode_tok_s, prefill, rates.ttft_p50_ms, ttft.p95 if ttft else None)
    return [stage.target, *map(_number, numbers), f"{stage.n_ok}/{stage.n_sent}", verdict]


def _comparisons(result: Result, stage: str) -> Iterator[str]:
    found = [ratio for ratio in result.ratios if ratio.stage == stage and ratio.ratio is not None]
    for baseline in dict.fromkeys(ratio.baseline for ratio in found):
        parts = [f"{r.metric} {r.ratio:.2f}x" for r in found if r.baseline == baseline]
        yield f"{found[0].subject} / {baseline}: {', '.join(parts)}"


def _too_few(stages: Sequence[StageResult]) -> Iterator[str]:
    counts = [ttft.n for stage in stages if (ttft := stage.metrics.get("ttft_ms")) and ttft.p95 is None]
    if counts:
        yield f"TTFT p95 n/a (n={min(counts)}, need {required_samples(95)})"


def _doubts(stages: Sequence[StageResult]) -> Iterator[str]:
    for stage in stages:
        yield from (f"{flag.severity}: {stage.target}: {flag.text}" for flag in stage.validity)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f}"


def _setting(result: Result) -> str:
    config = result.server_config
    if config is None:
        return "against servers that were running already"
    return f"{config.weights}, context {config.context_size}, {config.slots} slots, {config.threads} threads"


def _facts(result: Result) -> Iterator[str]:
    host = result.environment
    yield f"- {host.cpu_model}, {host.affinity} of {host.cores} cores, memory {host.mem_total}, Linux {host.kernel}"
    yield f"- Python {host.python}, " + ", ".join(f"{name} {found}" for name, found in host.libs.items() if found)
    commit = host.service_git or "unknown"
    yield from (f"- {package}: {words}" for package, words in host.llama_cpp_features.items() if words)
    yield f"- service at commit {commit}, scenario {result.scenario.hash[:12]}, run {result.id[:12]}"
    before, after = result.host_load.loadavg_before[0], result.host_load.loadavg_after[0]
    yield f"- load average (1 min) {before:.2f} before, {after:.2f} after; {result.scenario.text.measure.rounds} rounds"
    if result.model:
        yield f"- weights SHA-256 {result.model.sha256}"
