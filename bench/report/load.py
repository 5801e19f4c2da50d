"""Load: what a service gives at each number of clients or rate of requests, where it bends, where it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.load.findings import Attainment, Curve, GoodputFound, Point
from bench.report.blocks import Definitions, Notes, Section, Table, Term, Text, number
from bench.report.load_figures import plots
from bench.report.stages import doubts, in_window, unsteady
from bench.result import Result, StageResult
from bench.slo import Slo
from bench.stages import Closed

AXES = {"clients": "clients at once", "req_s": "requests/s asked for"}
SATURATED = Term(
    "saturated",
    "less than 98 % of what arrived was completed, and both the requests in the system and the TTFT grew (see"
    " bench/load/saturation.py).",
)
TERMS = Definitions(
    (Term("knee", "where two joined lines fit throughput best, if the second is at most half as steep."), SATURATED)
)


def sections(result: Result) -> Iterator[Section]:
    slo = result.scenario.text.slo if result.scenario else None
    if opened := [stage for stage in result.stages if _is_single(stage, result)]:
        notes = Notes(tuple(unsteady(opened)))
        yield Section("Open loops: asked for and given", (_arrivals_table(opened), notes, Definitions(ARRIVALS_TERMS)))
    for load in dict.fromkeys(curve.load for curve in result.curves):
        yield _of_load([curve for curve in result.curves if curve.load == load], result, slo)
    for found in dict.fromkeys(search.load for search in result.searches):
        yield _of_search([search for search in result.searches if search.load == found], result, slo)


def _is_single(stage: StageResult, result: Result) -> bool:
    """An open loop that is an entry of its own, not the step of a sweep or search."""
    entries = {entry.name for entry in result.scenario.text.load} if result.scenario else set()
    return stage.stage in entries and not isinstance(stage.load, Closed)


ARRIVALS_HEADERS = (
    "stage", "target", "asked req/s", "given req/s", "lag p95 ms", "TTFT p50 ms", "from send", "e2e p50 ms",
    "from send", "good", "saturated",
)  # fmt: skip
ARRIVALS_TERMS = (
    Term("asked req/s, given req/s", "requests due, and completed well, within the steady window / its length."),
    Term("lag", "by how much later than due the client sent."),
    Term("from send", "the median without that lateness."),
    Term(
        "good",
        "the share of all requests due that met the SLO, with its 95 % Wilson interval; failures are misses.",
    ),
    SATURATED,
)


def _arrivals_table(stages: Sequence[StageResult]) -> Table:
    rows = tuple((stage.stage, stage.target, *_arrivals_row(stage)) for stage in stages)
    return Table(ARRIVALS_HEADERS, rows, frozenset(i for i, stage in enumerate(stages) if stage.saturated))


def _arrivals_row(stage: StageResult) -> Iterator[str]:
    steady = not stage.unsteady
    yield in_window(stage.rates.requested_req_s, 2, steady=steady)
    yield in_window(stage.rates.achieved_req_s, 2, steady=steady)
    lag = stage.metrics.get("lag_ms")
    yield number(lag.p95 if lag else None)
    for name in ("ttft_ms", "ttft_from_send_ms", "e2e_ms", "e2e_from_send_ms"):
        found = stage.metrics.get(name)
        yield number(found.p50 if found else None)
    yield _share(stage.goodput)
    yield "yes" if stage.saturated else "no"


def _of_load(curves: Sequence[Curve], result: Result, slo: Slo | None) -> Section:
    axis = AXES[curves[0].x]
    notes = Notes((*_verdicts(curves), *_below(result, [p.stage for curve in curves for p in curve.points])))
    return Section(
        f"{curves[0].load}: over {axis}", (_points_table(curves, axis), notes, *plots(curves, axis, slo), TERMS)
    )


def _points_table(curves: Sequence[Curve], axis: str) -> Table:
    headers = (
        axis, "target", "given req/s", "out tok/s", "tok/s per user", "TTFT p50 ms", "TTFT p95 ms", "e2e p50 ms",
        "e2e p95 ms", "good", "saturated",
    )  # fmt: skip
    pairs = sorted(((point, curve) for curve in curves for point in curve.points), key=lambda pair: pair[0].x)
    rows = tuple((f"{point.x:g}", curve.target, *_points_row(point)) for point, curve in pairs)
    return Table(headers, rows, frozenset(i for i, (point, _) in enumerate(pairs) if point.doubted or point.saturated))


def _points_row(point: Point) -> Iterator[str]:
    yield in_window(point.achieved_req_s, 2, steady=point.steady)
    yield in_window(point.out_tok_s, steady=point.steady)
    values = (
        point.decode_tok_s, point.ttft_p50_ms, point.ttft_p95_ms, point.e2e_p50_ms, point.e2e_p95_ms,
    )  # fmt: skip
    yield from map(number, values)
    yield _share(point.goodput)
    yield "yes" if point.saturated else "no"


def _verdicts(curves: Sequence[Curve]) -> Iterator[str]:
    for curve in curves:
        unit = "clients" if curve.x == "clients" else "requests/s"
        bends = f"knee at about {curve.knee:.3g} {unit}" if curve.knee is not None else "no knee within what was swept"
        breaks = f", saturated from {curve.saturation:.3g} {unit} on" if curve.saturation is not None else ""
        yield f"{curve.target}: {bends}{breaks}"


LIMITS = {
    "slo": "a higher rate missed it",
    "hi": "the highest rate tried: raise `hi` to find the limit",
    "lo": "not even the lowest rate attained it: lower `lo`, or the SLO is out of reach",
    "stopped": "the search was stopped before its end",
}


def _of_search(searches: Sequence[GoodputFound], result: Result, slo: Slo | None) -> Section:
    headers = ("req/s tried", "target", "round", "good", "verdict")
    rows = tuple(
        (f"{probe.rate:.3g}", search.target, f"{search.round + 1}", _share(probe.goodput), probe.verdict)
        for search in searches
        for probe in search.probes
    )
    words = Text(f"Good means {slo.words}." if slo else "")
    steps = [probe.stage for search in searches for probe in search.probes]
    notes = Notes((*(_answer(search) for search in searches), *_below(result, steps)))
    return Section(f"{searches[0].load}: goodput", (words, notes, Table(headers, rows), Definitions(SEARCH_TERMS)))


SEARCH_TERMS = (
    Term("attained", "the lower bound of the 95 % Wilson interval reaches the share that is asked for."),
    Term("missed", "not even the upper bound does."),
    Term("unproven", "neither; counted as not attained."),
)


def _answer(search: GoodputFound) -> str:
    rate = "no rate" if search.rate is None else f"{search.rate:.3g} requests/s"
    where = f"{search.target}, round {search.round + 1}"
    return f"{where}: {rate} with {search.attain:.0%} good ({LIMITS[search.limited_by]})"


def _below(result: Result, steps: Sequence[str]) -> Iterator[str]:
    """Marks and doubts of the steps that have no section of their own."""
    entries = {entry.name for entry in result.scenario.text.load} if result.scenario else set()
    hidden = set(steps) - entries
    for stage in result.stages:
        if stage.stage in hidden:
            yield from unsteady([stage])
            yield from (f"{stage.stage}: {doubt}" for doubt in doubts([stage]))


def _share(goodput: Attainment | None) -> str:
    if goodput is None or goodput.share is None:
        return "n/a"
    return f"{goodput.share:.0%} ({goodput.low:.0%}-{goodput.high:.0%})"
