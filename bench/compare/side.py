"""One side of a comparison: results of the same thing, each with its rounds, each of those with its requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from bench.compare.families import Counted, Family, Repeated, Share, Stated
from bench.compare.metrics import Metric
from bench.compare.places import Place
from bench.record import RequestRecord
from bench.requests_file import read_records
from bench.result import Result, StageResult, read_result

Rounds: TypeAlias = list[list[float]]
"""The values of a metric in each round of a run."""
OF_RESULT = {"out_tok_s": "out_tok_s", "decode_tok_s": "decode_tok_s", "prefill_tok_s": "prefill_tok_s"}
"""Metric -> the field that each round of a result has of its median."""


@dataclass(frozen=True)
class Run:
    folder: Path
    result: Result
    records: Sequence[RequestRecord]

    @property
    def is_imported(self) -> bool:
        """Measured by another tool, which tells what it tells."""
        return self.result.host_load is None

    def read(self, family: Family) -> dict[Place, Any]:
        """What is known of it."""
        return {place: found for place, found in family.read(self.result).items() if found is not None}

    def stage(self, place: Place) -> StageResult | None:
        return next((stage for stage in self.result.stages if (stage.stage, stage.target) == place), None)

    def rounds(self, place: Place, metric: Metric) -> Rounds:
        """Of single requests where they are known, else from what the result says of each round, else of the whole."""
        stage = self.stage(place)
        if stage is None:
            return []
        own = [record for record in self.records if record.ok and (record.stage, record.target) == place]
        if own and not metric.is_of_rounds:
            numbers = sorted({record.round for record in own})
            found = [[v for r in own if r.round == number for v in _values(r, metric.name)] for number in numbers]
        else:
            found = [[value] for value in _summaries(stage, metric) if value is not None]
        return [values for values in found if values]


@dataclass(frozen=True)
class Side:
    runs: tuple[Run, ...]

    @property
    def places(self) -> list[Place]:
        """Of all its runs, in their order."""
        return list(dict.fromkeys((s.stage, s.target) for run in self.runs for s in run.result.stages))

    def samples(self, place: Place, metric: Metric | Repeated) -> list[Rounds]:
        """By run; one without this stage or metric is left out."""
        if isinstance(metric, Repeated):
            found = [[[value] for value in run.read(metric).get(place) or ()] for run in self.runs]
        else:
            found = [run.rounds(place, metric) for run in self.runs]
        return [rounds for rounds in found if rounds]

    def values(self, place: Place, family: Stated) -> list[float]:
        """Of the runs that have one."""
        return [value for run in self.runs if (value := run.read(family).get(place)) is not None]

    def share(self, place: Place, family: Counted) -> Share | None:
        """Of all runs together."""
        found = [share for run in self.runs if (share := run.read(family).get(place))]
        return Share(sum(each.part for each in found), sum(each.whole for each in found)) if found else None

    def places_of(self, measure: Metric | Family) -> list[Place]:
        """Where any of its runs has it; of a metric of requests, every stage and target."""
        if isinstance(measure, Metric):
            return self.places
        return list(dict.fromkeys(place for run in self.runs for place in run.read(measure)))

    def doubts(self, place: Place) -> list[str]:
        """Why its numbers mean something else than they say, or that it was not measured."""
        stages = [stage for run in self.runs if (stage := run.stage(place))]
        invalid = [flag.text for stage in stages for flag in stage.validity if flag.severity == "invalid"]
        return invalid if stages else ["not measured"]


def read_side(folders: str) -> Side:
    """`folders` are separated by commas. Raises BenchError for one that holds no result."""
    paths = [Path(folder) for folder in folders.split(",")]
    return Side(tuple(Run(path, read_result(path), read_records(path)) for path in paths))


def _values(record: RequestRecord, name: str) -> list[float]:
    if name == "gap_ms":
        return record.gaps_ms
    value = getattr(record, name)
    return [] if value is None else [value]


def _summaries(stage: StageResult, metric: Metric) -> list[float | None]:
    if metric.percentile == 50 and stage.rounds and (metric.name in OF_RESULT or metric.name == "ttft_ms"):
        return [getattr(round_, OF_RESULT.get(metric.name, "ttft_p50_ms")) for round_ in stage.rounds]
    if metric.percentile == 50 and metric.name in OF_RESULT:
        return [getattr(stage.rates, OF_RESULT[metric.name])]
    whole = stage.metrics.get(metric.name)
    return [getattr(whole, f"p{metric.percentile}") if whole else None]
