"""What results say about one model, to draw advice from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.context.parts import ContextPart
from bench.cost.result import CostPart
from bench.errors import BenchError
from bench.limits.result import LimitsPart
from bench.result import Result, StageResult, read_result
from bench.slo import Slo


@dataclass(frozen=True)
class Evidence:
    """Of one model; the newest of each kind. `memory` is what a server may take, in bytes; None where nobody knows."""

    model: str
    slo: Slo
    memory: int | None
    stages: Sequence[StageResult]
    limits: LimitsPart | None
    context: ContextPart | None
    cost: CostPart | None


def read_evidence(folders: Sequence[Path], slo: Slo, memory: int | None) -> Evidence:
    """Raises BenchError for results of several models, or of none that has a name."""
    results = sorted((read_result(folder) for folder in folders), key=lambda result: result.created.wall)
    return gather(results, slo, memory)


def gather(results: Sequence[Result], slo: Slo, memory: int | None) -> Evidence:
    """`results` from the oldest to the newest."""
    models = sorted({result.model_name for result in results if result.model_name})
    if len(models) != 1:
        raise BenchError(
            f"advice is for one model, and these results are about {', '.join(models) or 'none'}: give those of one"
        )
    whole = [result for result in results if result.complete]
    return Evidence(
        model=models[0],
        slo=slo,
        memory=memory,
        stages=[stage for result in whole for stage in result.stages if stage.target == result.stages[0].target],
        limits=next((result.limits for result in reversed(whole) if result.limits and not result.validity), None),
        context=next((result.context for result in reversed(results) if result.context), None),
        cost=next((result.cost for result in reversed(results) if result.cost), None),
    )
