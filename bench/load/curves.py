"""Sweeps and ramps as curves over load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from statistics import median

from bench.load.findings import Curve, Point
from bench.load.goodput import attainment
from bench.load.knee import knee
from bench.load.saturation import saturation
from bench.load.window import Window
from bench.record import RequestRecord
from bench.result import StageResult
from bench.sample import Sample
from bench.scenario import Scenario
from bench.series import Sweep
from bench.slo import Slo
from bench.stages import Closed, Constant, Poisson, Ramp
from bench.stats import describe, median_or_none


def curves(stages: Sequence[StageResult], samples: Sequence[Sample], scenario: Scenario) -> Iterator[Curve]:
    """In the scenario's order; one for each target on which at least one step was measured."""
    for entry in scenario.load:
        if not isinstance(entry, Sweep | Ramp):
            continue
        for target in (target.name for target in scenario.targets):
            if isinstance(entry, Sweep):
                points = _of_sweep(entry, [stage for stage in stages if stage.target == target])
            else:
                mine = [sample for sample in samples if (sample.stage, sample.target) == (entry, target)]
                points = _of_ramp(entry, mine, scenario.slo)
            if points:
                yield _curve(entry, target, points)


def _curve(entry: Sweep | Ramp, target: str, points: list[Point]) -> Curve:
    by_clients = isinstance(entry, Sweep) and entry.concurrency is not None
    heights = [(p.x, y) for p in points if (y := p.out_tok_s if by_clients else p.achieved_req_s) is not None]
    return Curve(
        load=entry.name,
        target=target,
        x="clients" if by_clients else "req_s",
        points=points,
        knee=knee([x for x, _ in heights], [y for _, y in heights]),
        saturation=min((point.x for point in points if point.saturated), default=None),
    )


def _of_sweep(sweep: Sweep, stages: Sequence[StageResult]) -> list[Point]:
    found = {stage.stage: stage for stage in stages}
    return [_of_stage(found[step.name]) for step in sweep.steps() if step.name in found]


def _of_stage(stage: StageResult) -> Point:
    ttft, e2e, load = stage.metrics.get("ttft_ms"), stage.metrics.get("e2e_ms"), stage.load
    assert isinstance(load, Closed | Poisson | Constant), "a sweep's stages have one rate or number of clients"
    return Point(
        stage=stage.stage,
        x=load.concurrency if isinstance(load, Closed) else load.rate,
        steady=not stage.unsteady,
        requested_req_s=stage.rates.requested_req_s,
        achieved_req_s=stage.rates.achieved_req_s,
        out_tok_s=stage.rates.out_tok_s,
        decode_tok_s=stage.rates.decode_tok_s,
        ttft_p50_ms=ttft.p50 if ttft else None,
        ttft_p95_ms=ttft.p95 if ttft else None,
        e2e_p50_ms=e2e.p50 if e2e else None,
        e2e_p95_ms=e2e.p95 if e2e else None,
        goodput=stage.goodput,
        saturated=stage.saturated,
        doubted=any(flag.severity == "invalid" for flag in stage.validity),
    )


def _of_ramp(ramp: Ramp, samples: Sequence[Sample], slo: Slo | None) -> list[Point]:
    """A point for each step: latencies of the requests due in it, rates of what happened in it."""
    starts = accumulate((hold.seconds for hold in ramp.profile()), initial=0.0)
    points = []
    for hold, start in zip(ramp.profile(), starts, strict=False):
        windows = [_step(sample, start, start + hold.seconds) for sample in samples if sample.records]
        due = [record for window, records in windows for record in records if window.holds(record.t_sched)]
        if due:
            points.append(_of_step(hold.rate, windows, due, slo))
    return points


def _step(sample: Sample, start: float, end: float) -> tuple[Window, list[RequestRecord]]:
    return Window(sample.started + round(start * 1e9), sample.started + round(end * 1e9)), sample.records


def _of_step(
    rate: float, windows: Sequence[tuple[Window, list[RequestRecord]]], due: list[RequestRecord], slo: Slo | None
) -> Point:
    ended_well = [record for record in due if record.ok]
    ttft = describe([record.ttft_ms for record in ended_well if record.ttft_ms is not None])
    e2e = describe([record.e2e_ms for record in ended_well if record.e2e_ms is not None])
    return Point(
        stage=due[0].stage,
        x=rate,
        requested_req_s=median(window.arrivals(records) / window.seconds for window, records in windows),
        achieved_req_s=median(window.completions(records) / window.seconds for window, records in windows),
        out_tok_s=median(window.tokens(records) / window.seconds for window, records in windows),
        decode_tok_s=median_or_none([record.decode_tok_s for record in ended_well]),
        ttft_p50_ms=ttft.p50 if ttft else None,
        ttft_p95_ms=ttft.p95 if ttft else None,
        e2e_p50_ms=e2e.p50 if e2e else None,
        e2e_p95_ms=e2e.p95 if e2e else None,
        goodput=attainment(due, slo) if slo else None,
        saturated=next((why for window, records in windows if (why := saturation(records, window))), None),
        doubted=len(ended_well) < len(due),
    )
