"""Single requests, from `requests.jsonl`: how they are distributed, and what happened when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.record import RequestRecord
from bench.report.blocks import Block, Definitions, Section, Term
from bench.report.by_load import clients
from bench.report.figures import Ecdf, Figure
from bench.report.swim_lanes import swim_lanes
from bench.report.time_series import in_flight, token_rate
from bench.result import Result, StageResult

TERMS = (
    Term("gap", "between two chunks of one stream, the gaps of all requests pooled; a chunk may hold several tokens."),
    Term("window", "one of equal parts of the time from the first request due to the last one ended, in one round."),
)
By = dict[str, list[RequestRecord]]


def sections(result: Result, records: Sequence[RequestRecord]) -> Iterator[Section]:
    """One for each stage; that with the most clients is open."""
    stages: dict[str, list[StageResult]] = {}
    for stage in result.stages:
        stages.setdefault(stage.stage, []).append(stage)
    busiest = max(stages, key=lambda name: clients(stages[name][0]), default=None)
    for name in sorted(stages, key=lambda name: name != busiest):
        by_target = {s.target: _of(records, s) for s in stages[name]}
        if any(by_target.values()):
            invalid = frozenset(stage.target for stage in stages[name] if stage.verdict == "invalid")
            blocks: list[Block] = [*_distributions(by_target, invalid), *_first_round(by_target)]
            yield Section(f"Requests of {name}", (*blocks, Definitions(TERMS)), folded=name != busiest)


def _of(records: Sequence[RequestRecord], stage: StageResult) -> list[RequestRecord]:
    return [r for r in records if (r.stage, r.target) == (stage.stage, stage.target) and r.ok]


def _distributions(by_target: By, invalid: frozenset[str]) -> Iterator[Figure]:
    ttft = {
        target: tuple(record.ttft_ms for record in found if record.ttft_ms is not None)
        for target, found in by_target.items()
    }
    yield Ecdf(
        "How long to the first token", "The share of requests with at most this TTFT.", "TTFT, ms", ttft, invalid
    )
    gaps = {
        target: tuple(gap for record in found for gap in record.gaps_ms if gap > 0)
        for target, found in by_target.items()
    }
    caption = "The share of gaps of at most this length: a stall is a step far to the right."
    yield Ecdf("How long between chunks", caption, "gap, ms", gaps, invalid)


def _first_round(by_target: By) -> Iterator[Figure]:
    first = {target: [r for r in found if r.round == 0] for target, found in by_target.items()}
    first = {target: found for target, found in first.items() if found}
    if first:
        yield token_rate(first)
        yield in_flight(first)
        yield from (swim_lanes(target, found) for target, found in first.items())
