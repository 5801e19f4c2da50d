"""The stages of a run: a row for each target, the ratios between them, and the doubts beside the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.prompt_spec import Mixed
from bench.report.blocks import Definitions, Notes, Section, Table, Term, number
from bench.result import Result, StageResult
from bench.series import Search, Sweep
from bench.stages import Closed
from bench.stats import required_samples

HEADERS = (
    "target", "out tok/s", "decode tok/s", "prefill tok/s", "TTFT p50 ms", "TTFT p95 ms", "n", "verdict",
)  # fmt: skip
MARK = "†"
"""An asterisk would be Markdown."""
TERMS = (
    Term(
        "out tok/s",
        "completion tokens that came within the steady window / its length: from when as many requests were completed"
        " as are at work at once to the last arrival, so without start and drain; median of the rounds. Of a stage too"
        " short for one (marked), all of it.",
    ),
    Term(
        "decode tok/s",
        "per request (tokens - 1) / (last token - first token); median of the requests, then of the rounds. For the"
        " bare loop one sequence of the lockstep batch.",
    ),
    Term(
        "prefill tok/s",
        "as the target itself timed it, cached tokens left out; with several clients it would time their waiting for"
        " each other.",
    ),
    Term(
        "TTFT",
        "time to first token: from the moment a request is due to its first text. p95 is over the requests of all"
        f" rounds, and only where there are enough of them (p90 {required_samples(90)}, p95 {required_samples(95)},"
        f" p99 {required_samples(99)}).",
    ),
)


def sections(result: Result) -> Iterator[Section]:
    """One for each stage that was measured; embeddings have a report of their own."""
    if result.embeds:
        return
    for name in _names(result):
        stages = [stage for stage in result.stages if stage.stage == name]
        doubted = frozenset(i for i, stage in enumerate(stages) if stage.verdict != "valid")
        table = Table(HEADERS, tuple(_row(stage) for stage in stages), doubted)
        of_all = (*comparisons(result, name), *unsteady(stages), *_too_few(stages), *_from_cache(result, stages))
        notes = Notes((*of_all, *doubts(stages)))
        yield Section(_title(stages[0]), (table, notes))
    if result.stages:
        yield Section("Terms", (Definitions(TERMS),))


def _names(result: Result) -> list[str]:
    """The steps of sweeps and searches are left to those."""
    names = list(dict.fromkeys(stage.stage for stage in result.stages))
    if result.scenario is None:
        return names
    entries = {load.name for load in result.scenario.text.load if not isinstance(load, Sweep | Search)}
    return [name for name in names if name in entries]


def _title(stage: StageResult) -> str:
    load = stage.load
    if load is None:
        return stage.stage
    return f"{load.name}: {load.whole_words}, {load.prompts.words}"


def _row(stage: StageResult) -> tuple[str, ...]:
    rates, ttft = stage.rates, stage.metrics.get("ttft_ms")
    is_single = stage.load is None or (isinstance(stage.load, Closed) and stage.load.concurrency == 1)
    prefill = rates.prefill_tok_s if is_single else None
    out = in_window(rates.out_tok_s, steady=not stage.unsteady)
    numbers = (rates.decode_tok_s, prefill, rates.ttft_p50_ms, ttft.p95 if ttft else None)
    return (stage.target, out, *map(number, numbers), count(stage), stage.verdict)


def in_window(value: float | None, digits: int = 1, *, steady: bool) -> str:
    """A rate; `unsteady` says below what the mark means."""
    return number(value, digits) + ("" if steady or value is None else MARK)


def unsteady(stages: Sequence[StageResult]) -> Iterator[str]:
    for stage in stages:
        if stage.unsteady:
            where = f"{stage.stage}, {stage.target}: {stage.unsteady} of {len(stage.rounds)} rounds"
            yield f"{MARK} {where} had too few requests for a steady window: start and drain are in these rates"


def count(stage: StageResult) -> str:
    return "n/a" if stage.n_ok is None or stage.n_sent is None else f"{stage.n_ok}/{stage.n_sent}"


def comparisons(result: Result, stage: str) -> Iterator[str]:
    found = [ratio for ratio in result.ratios if ratio.stage == stage and ratio.ratio is not None]
    for baseline in dict.fromkeys(ratio.baseline for ratio in found):
        parts = [f"{r.metric} {r.ratio:.2f}x" for r in found if r.baseline == baseline]
        yield f"{found[0].subject} / {baseline}: {', '.join(parts)}"


def _too_few(stages: Sequence[StageResult]) -> Iterator[str]:
    counts = [ttft.n for stage in stages if (ttft := stage.metrics.get("ttft_ms")) and ttft.p95 is None]
    if counts:
        yield f"TTFT p95 n/a (n={min(counts)}, need {required_samples(95)})"


def _from_cache(result: Result, stages: Sequence[StageResult]) -> Iterator[str]:
    """Of a mix: what was meant to come from a cache beside what usage says did. Whether it were the same requests is
    what the doubts tell."""
    for stage in stages:
        cache = result.scenario and stage.load and result.scenario.text.cache_of(stage.load.prompts)
        if isinstance(cache, Mixed) and stage.sum.prompt and stage.sum.cached is not None:
            share = stage.sum.cached / stage.sum.prompt
            yield (
                f"{stage.target}: {share:.0%} of the prompt tokens came from a cache, as usage says;"
                f" {cache.warm:.0%} of the requests were meant to be warm, all but their questions"
            )


def doubts(stages: Sequence[StageResult]) -> Iterator[str]:
    for stage in stages:
        yield from (f"{flag.severity}: {stage.target}: {flag.text}" for flag in stage.validity)
