"""From what was seen of each request to what is said of each stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Any

from bench.calibrate.calibration import Calibration
from bench.doubts.numbers import spread
from bench.load.doubts import load_doubts
from bench.load.goodput import attainment
from bench.load.saturation import saturation
from bench.load.window import most_in_flight, steady_window, whole_window
from bench.record import RequestRecord
from bench.result import Rates, Ratio, RoundResult, StageResult, Sums
from bench.sample import Sample
from bench.scenario import Scenario
from bench.slo import Slo
from bench.stages import Open
from bench.stats import describe, median_or_none, ratio
from bench.validity import doubts

METRICS = (
    "ttft_ms", "ttft_from_send_ms", "ttfb_ms", "itl_ms", "e2e_ms", "e2e_from_send_ms", "queue_ms", "lag_ms",
    "decode_tok_s", "prefill_tok_s",
)  # fmt: skip
"""Properties of RequestRecord."""
RATIOS = ("out_tok_s", "decode_tok_s", "ttft_p50_ms")
RATIOS_OF_EMBEDDINGS = ("texts_s", "prompt_tok_s", "e2e_p50_ms")
"""Fields of Rates."""


def summarise(
    samples: Sequence[Sample], scenario: Scenario, calibration: Calibration | None = None
) -> list[StageResult]:
    """In the order in which stages were begun, then in that of the targets."""
    stages = list(dict.fromkeys(sample.stage.name for sample in samples))
    targets = [target.name for target in scenario.targets]
    ranked = sorted(samples, key=lambda sample: (stages.index(sample.stage.name), targets.index(sample.target)))
    return [_stage(list(group), scenario, calibration) for _, group in groupby(ranked, key=_place)]


def ratios(stages: Sequence[StageResult], scenario: Scenario) -> list[Ratio]:
    """The scenario's first target against each of the others, stage by stage."""
    by_place = {(stage.stage, stage.target): stage.rates for stage in stages}
    subject, *baselines = (target.name for target in scenario.targets)
    return [
        Ratio(
            stage=stage.name,
            metric=metric,
            subject=subject,
            baseline=baseline,
            ratio=ratio(
                getattr(by_place[stage.name, subject], metric), getattr(by_place[stage.name, baseline], metric)
            ),
        )
        for stage in scenario.stages
        for baseline in baselines
        if {(stage.name, subject), (stage.name, baseline)} <= by_place.keys()
        for metric in (RATIOS_OF_EMBEDDINGS if scenario.workload.api == "embeddings" else RATIOS)
    ]


def _place(sample: Sample) -> tuple[str, str]:
    return sample.stage.name, sample.target


def _stage(samples: list[Sample], scenario: Scenario, calibration: Calibration | None) -> StageResult:
    records = [record for sample in samples for record in sample.records]
    ended_well = [record for record in records if record.ok]
    per_round = [_round(sample, scenario.slo) for sample in samples]
    metrics = {name: describe(_known(ended_well, name)) for name in METRICS}
    metrics["gap_ms"] = describe([gap for record in ended_well for gap in record.gaps_ms])
    spreads = {name: spread([getattr(done, name) for done in per_round]) for name in Rates.model_fields}
    saturated = _saturated(per_round)
    is_planned = samples[0].stage.name in {stage.name for stage in scenario.stages}
    return StageResult(
        stage=samples[0].stage.name,
        target=samples[0].target,
        load=samples[0].stage,
        n_sent=len(records),
        n_ok=len(ended_well),
        n_err=sum(bool(record.err) and not (record.censored or record.refused) for record in records),
        n_censored=sum(record.censored for record in records),
        n_refused=sum(record.refused for record in records),
        sum=_sums(ended_well),
        rates=_rates(per_round),
        metrics=metrics,
        goodput=attainment(records, scenario.slo) if scenario.slo else None,
        saturated=saturated,
        rounds=per_round,
        spread=spreads,
        validity=[
            *doubts(
                samples,
                rounds=scenario.measure.rounds if is_planned else len(samples),
                cache=scenario.cache_of(samples[0].stage.prompts),
                metrics=metrics,
                spreads=spreads,
                calibration=calibration,
            ),
            *load_doubts(samples[0].stage, per_round, saturated),
        ],
    )


def _round(sample: Sample, slo: Slo | None) -> RoundResult:
    records = [record for record in sample.records if record.ok]
    wall_s = _wall_s(records)
    return RoundResult(
        round=sample.round,
        wall_s=wall_s,
        **_rates_in_window(sample, slo),
        most_in_flight=most_in_flight(sample.records),
        decode_tok_s=_median(records, "decode_tok_s"),
        prefill_tok_s=_median(records, "prefill_tok_s"),
        ttft_p50_ms=_median(records, "ttft_ms"),
        prompt_tok_s=ratio(_total(records, "isl"), wall_s),
        texts_s=ratio(_total(records, "texts"), wall_s),
        e2e_p50_ms=_median(records, "e2e_ms"),
        host=sample.host,
    )


def _rates_in_window(sample: Sample, slo: Slo | None) -> dict[str, Any]:
    """The fields of RoundResult that are counted over the window; empty if no request ended well."""
    records, steady = sample.records, steady_window(sample.records, sample.stage)
    window, is_open = steady or whole_window(records), isinstance(sample.stage, Open)
    if window is None:
        return {"out_tok_s": None}
    whole = _total([record for record in records if record.ok], "osl")
    good = [record for record in records if slo and slo.is_met_by(record)]
    return {
        "window_s": window.seconds,
        "steady": steady is not None,
        "out_tok_s": ratio(steady.tokens(records) if steady and whole is not None else whole, window.seconds),
        "requested_req_s": window.arrivals(records) / window.seconds if is_open else None,
        "achieved_req_s": window.completions(records) / window.seconds,
        "good_req_s": window.completions(good) / window.seconds if slo else None,
        "saturated": saturation(records, steady) if is_open and steady else None,
    }


def _saturated(rounds: Sequence[RoundResult]) -> str | None:
    reasons = [done.saturated for done in rounds if done.saturated]
    return reasons[0] if 2 * len(reasons) >= len(rounds) and reasons else None


def _rates(rounds: Sequence[RoundResult]) -> Rates:
    return Rates(**{name: median_or_none([getattr(done, name) for done in rounds]) for name in Rates.model_fields})


def _sums(records: Iterable[RequestRecord]) -> Sums:
    counts = [(record.isl or 0, record.cached or 0, record.osl or 0) for record in records]
    prompt, cached, completion = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return Sums(prompt=prompt, cached=cached, completion=completion)


def _wall_s(records: Sequence[RequestRecord]) -> float | None:
    """From the first request due to the last one ended, the drain at the end included."""
    ends = [record.t_end for record in records if record.t_end is not None]
    return (max(ends) - min(record.t_sched for record in records)) / 1e9 if ends else None


def _known(records: Iterable[RequestRecord], name: str) -> list[float]:
    return [value for record in records if (value := getattr(record, name)) is not None]


def _total(records: Iterable[RequestRecord], name: str) -> float | None:
    values = _known(records, name)
    return sum(values) if values else None


def _median(records: Iterable[RequestRecord], name: str) -> float | None:
    values = _known(records, name)
    return median(values) if values else None
