"""What is to be thought of a stage's numbers: each trap that makes benches lie is one check in `bench.doubts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.calibrate.calibration import Calibration
from bench.doubts.machine import doubts_of_machine
from bench.doubts.numbers import doubts_of_lag, doubts_of_precision, doubts_of_spread
from bench.doubts.requests import doubts_of_requests
from bench.prompt_spec import Cache
from bench.result import Flag
from bench.sample import Sample
from bench.stats import Distribution


def doubts(
    samples: Sequence[Sample],
    *,
    rounds: int,
    cache: Cache = "cold",
    metrics: Mapping[str, Distribution | None],
    spreads: Mapping[str, float | None],
    calibration: Calibration | None,
) -> list[Flag]:
    """Of one stage on one target, over its rounds; a check that finds nothing says nothing."""
    return [
        *_of_rounds(samples, rounds),
        *doubts_of_requests([record for sample in samples for record in sample.records], cache),
        *doubts_of_machine([sample.host for sample in samples if sample.host], samples[0].stage.neighbours),
        *doubts_of_precision(metrics, calibration),
        *doubts_of_lag(metrics, calibration),
        *doubts_of_spread(spreads),
    ]


def _of_rounds(samples: Sequence[Sample], rounds: int) -> list[Flag]:
    completed = sum(sample.host is not None for sample in samples)
    text = f"{completed} of {rounds} rounds were completed"
    return [Flag(code="rounds", severity="suspect", text=text)] if completed < rounds else []
