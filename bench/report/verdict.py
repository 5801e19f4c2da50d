"""The verdict on a run: may its numbers be believed, how fast was it, and beside what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bench.report.blocks import Finding
from bench.report.by_load import clients
from bench.result import Result, StageResult

STATES = {"valid": "good", "suspect": "doubtful", "invalid": "bad"}
ORDER = ("valid", "suspect", "invalid")


def findings(result: Result) -> Iterator[Finding]:
    if result.stages:
        yield _validity(result)
        yield from _speed(result)
        yield from _comparisons(result)


def _validity(result: Result) -> Finding:
    counts = Counter[str](stage.verdict for stage in result.stages)
    worst = max(counts, key=ORDER.index)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if verdict in counts)
    reasons = sorted({flag.code for stage in result.stages for flag in stage.validity if flag.severity == worst})
    of_run = {flag.severity for flag in result.validity}
    state = max([worst, *of_run], key=ORDER.index)
    return Finding("Validity of the stages", words + (f" ({', '.join(reasons)})" if reasons else ""), STATES[state])


def _speed(result: Result) -> Iterator[Finding]:
    """Of the first target: what it gives to all, and to one who is alone."""
    own = [stage for stage in _believed(result) if stage.target == result.stages[0].target]
    if not own:
        return
    most = max(own, key=lambda stage: stage.rates.out_tok_s or 0.0)
    if most.rates.out_tok_s is not None:
        yield Finding("Highest throughput", f"{most.target}: {most.rates.out_tok_s:,.1f} out tok/s ({most.stage})")
    alone = min(own, key=clients)
    decode, ttft = alone.rates.decode_tok_s, alone.rates.ttft_p50_ms
    if decode is not None and ttft is not None:
        words = f"{alone.target}: {decode:,.1f} decode tok/s after a TTFT of {ttft:,.0f} ms ({alone.stage})"
        yield Finding("Fewest clients", words)


def _comparisons(result: Result) -> Iterator[Finding]:
    """With each of the others, over the stages in which both are believed."""
    believed = {(stage.stage, stage.target) for stage in _believed(result)}
    ratios = [r for r in result.ratios if r.metric == "out_tok_s" and r.ratio is not None]
    ratios = [r for r in ratios if {(r.stage, r.subject), (r.stage, r.baseline)} <= believed]
    for baseline in dict.fromkeys(ratio.baseline for ratio in ratios):
        found = [ratio.ratio for ratio in ratios if ratio.baseline == baseline and ratio.ratio is not None]
        span = f"{min(found):.2f} to {max(found):.2f}" if len(found) > 1 else f"{found[0]:.2f}"
        yield Finding(f"{ratios[0].subject} / {baseline}", f"{span} times the out tok/s")


def _believed(result: Result) -> list[StageResult]:
    return [stage for stage in result.stages if stage.verdict != "invalid"]
