"""A number of every stage and target, over what the stages differ in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.report.figures import LinePlot, Series
from bench.result import Result, StageResult
from bench.stages import Closed


class Measured(NamedTuple):
    """With its interval, where there is one."""

    value: float | None
    low: float | None = None
    high: float | None = None


def by_load(
    result: Result, of: Callable[[StageResult], Measured], *, title: str, caption: str, y_label: str
) -> LinePlot:
    """Over the number of clients if the stages differ in nothing else, and beside each other if they do."""
    series = tuple(_series(result, target, of) for target in dict.fromkeys(stage.target for stage in result.stages))
    if differ_in_clients_only(result):
        return LinePlot(title, caption, "clients", y_label, series, log_x=True)
    return LinePlot(title, caption, "stage", y_label, series, x_names=_names(result))


def differ_in_clients_only(result: Result) -> bool:
    loads = {stage.stage: stage.load for stage in result.stages}
    closed = [load for load in loads.values() if isinstance(load, Closed)]
    same = {load.prompts for load in closed}
    different = {load.concurrency for load in closed}
    return len(loads) > 1 and len(same) == 1 and len(different) == len(loads)


def clients(stage: StageResult) -> int:
    """0 in an open loop, and where another tool measured it and does not tell."""
    return stage.load.concurrency if isinstance(stage.load, Closed) else 0


def by_clients(result: Result, target: str) -> list[StageResult]:
    return sorted((stage for stage in result.stages if stage.target == target), key=clients)


def doubted(stages: Sequence[StageResult]) -> frozenset[int]:
    return frozenset(place for place, stage in enumerate(stages) if stage.verdict == "invalid")


def _names(result: Result) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stage.stage for stage in result.stages))


def _series(result: Result, target: str, of: Callable[[StageResult], Measured]) -> Series:
    stages = by_clients(result, target)
    over_clients = differ_in_clients_only(result)
    x = tuple(clients(s) if over_clients else _names(result).index(s.stage) for s in stages)
    y, low, high = zip(*map(of, stages), strict=True)
    return Series(target, tuple(map(float, x)), y, low, high, doubted_points=doubted(stages))
