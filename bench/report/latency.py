"""How long one waits: for the first token, and for all of them."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Definitions, Section, Term
from bench.report.by_load import Measured, by_load
from bench.report.figures import LinePlot
from bench.result import Result, StageResult

TERMS = (
    Term("e2e", "end to end: from the moment a request is due until its stream has ended."),
    Term("tail", "from the median up to p95, or to p90 where the samples do not support p95; none where neither."),
)


def sections(result: Result) -> Iterator[Section]:
    if result.stages:
        figures = [_plot(result, "e2e_ms", "Time to the end", "e2e")]
        if not result.embeds:
            figures.insert(0, _plot(result, "ttft_ms", "Time to the first token", "TTFT"))
        yield Section("Latency", (*figures, Definitions(TERMS)))


def _plot(result: Result, metric: str, title: str, term: str) -> LinePlot:
    caption = f"{term} over the requests of all rounds: median and tail. Grey: invalid."
    return by_load(result, lambda stage: _tail(stage, metric), title=title, caption=caption, y_label=f"{term}, ms")


def _tail(stage: StageResult, metric: str) -> Measured:
    found = stage.metrics.get(metric)
    if found is None:
        return Measured(None)
    highest = found.p90 if found.p95 is None else found.p95
    return Measured(found.p50, None if highest is None else found.p50, highest)
