"""What can be compared besides the metrics of requests: one entry for each, whichever command measured it.

To add one: say its name, which direction is better, and how a result tells it. How it is compared follows from what is
read:

Stated: one number, that another run would give again but for the tolerance (a length, bytes, a price, a perplexity).
Compared by value.
Counted: so many of so many (failed requests, right answers). Compared by the interval of the difference of two shares.
Repeated: one value for each repetition (starts, rounds). Compared by the bootstrap, as the metrics of requests are.

What is read is by place: what the number is a number of, in one or more words. Where both results have it, it is
compared; what only A has is missing in B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, get_args

from bench.compare.metrics import DIRECTIONS, Better, Metric, read_metric
from bench.compare.places import WHOLE, Place
from bench.context.parts import LimitName
from bench.cost.make import HOUR, usd_per_request
from bench.cost.result import CostPart
from bench.cost.worker import Worker
from bench.errors import BenchError
from bench.quants.result import QuantForm
from bench.result import Result, StageResult

PER_HOUR = (1, 10, 100, 1000)
"""Rates of requests that costs are compared at: a result's own depend on how fast its worker is."""


class Share(NamedTuple):
    """`part` of `whole`."""

    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part:,} of {self.whole:,}"


@dataclass(frozen=True)
class Stated:
    """`tolerance`: the relative change that nobody need care about, where a gate does not say another."""

    name: str
    better: Better
    tolerance: float
    read: Callable[[Result], Mapping[Place, float | None]]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Counted:
    """`tolerance`: the difference of two shares that nobody need care about (0.01: a point)."""

    name: str
    better: Better
    tolerance: float
    read: Callable[[Result], Mapping[Place, Share | None]]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Repeated:
    """The median of the repetitions is what is compared."""

    name: str
    better: Better
    read: Callable[[Result], Mapping[Place, Sequence[float] | None]]
    percentile: int = 50

    def __str__(self) -> str:
        return self.name


Family: TypeAlias = Stated | Counted | Repeated
Measure: TypeAlias = Metric | Family


def _limit(name: LimitName) -> Callable[[Result], Mapping[Place, float | None]]:
    return lambda result: {WHOLE: result.context.ladder.limits[name].tokens} if result.context else {}


def _usable(result: Result) -> Mapping[Place, float | None]:
    return {WHOLE: result.context.ladder.usable} if result.context else {}


def _answers(result: Result) -> Mapping[Place, Share | None]:
    """Right ones, all depths of a text together."""
    found: dict[Place, Share] = {}
    for cell in result.context.effective.cells if result.context and result.context.effective else ():
        place = (cell.task, f"{cell.length} tokens")
        before = found.get(place, Share(0, 0))
        found[place] = Share(before.part + cell.right, before.whole + cell.n)
    return found


def _of_stages(share: Callable[[StageResult], Share | None]) -> Callable[[Result], Mapping[Place, Share | None]]:
    return lambda result: {(stage.stage, stage.target): share(stage) for stage in result.stages}


def _failed(stage: StageResult) -> Share | None:
    return Share(stage.n_err, stage.n_sent) if stage.n_err is not None and stage.n_sent else None


def _refused(stage: StageResult) -> Share | None:
    return Share(stage.n_refused, stage.n_sent) if stage.n_refused is not None and stage.n_sent else None


def _good(stage: StageResult) -> Share | None:
    return Share(stage.goodput.good, stage.goodput.n) if stage.goodput and stage.goodput.n else None


def _loaded(result: Result) -> Mapping[Place, float | None]:
    """Resident bytes of processes that loaded contexts of these lengths."""
    memory = result.context.memory if result.context else None
    return {(f"context {point.context}",): point.measured_bytes for point in memory.points} if memory else {}


def _planned(result: Result) -> Mapping[Place, float | None]:
    return {WHOLE: result.plan.measured_bytes} if result.plan else {}


def _usd(result: Result) -> Mapping[Place, float | None]:
    """All in, by the million tokens out; None where one worker does not keep up."""
    if result.cost is None:
        return {}
    return {(f"{rate} requests per hour",): _usd_at(result.cost, rate / HOUR) for rate in PER_HOUR}


def _usd_at(cost: CostPart, rate: float) -> float | None:
    worker = Worker(cost.use.busy_s, cost.cold_s, cost.idle_timeout_s, cost.price.bills_idle)
    return usd_per_request(worker, cost.price, rate) / cost.use.tokens_out * 1e6 if rate <= worker.max_rate else None


def _client_errors(result: Result) -> Mapping[Place, float | None]:
    return {(metric,): error for metric, error in result.calibration.error_ms.items()} if result.calibration else {}


def _client_faults(result: Result) -> Mapping[Place, float | None]:
    return {WHOLE: len(result.calibration.faults)} if result.calibration else {}


def _first_answers(result: Result) -> Mapping[Place, Sequence[float] | None]:
    """Of each kind of cold start."""
    series = result.cold.series if result.cold else ()
    return {
        (one.model, one.target, f"{one.page_cache} page cache", one.prompt): [start.first_ms for start in one.starts]
        for one in series
    }


def _of_forms(number: Callable[[QuantForm], float | None]) -> Callable[[Result], Mapping[Place, float | None]]:
    return lambda result: {(form.quant,): number(form) for form in result.quants.forms} if result.quants else {}


def _decode_rates(result: Result) -> Mapping[Place, Sequence[float] | None]:
    """Of one sequence, in each quantization."""
    forms = result.quants.forms if result.quants else ()
    return {(form.quant,): [one.single for one in form.rounds] or None for form in forms}


TOLERANCES: dict[LimitName, float] = {"memory": 0.05, "latency": 0.1}
"""Of limits that are measured; the others are lengths that were read or chosen to be tried."""

LIMITS: tuple[LimitName, ...] = get_args(LimitName)
ALL: tuple[Family, ...] = (
    *(Stated(f"context.{name}", "higher", TOLERANCES.get(name, 0.0), _limit(name)) for name in LIMITS),
    Stated("context.usable", "higher", 0.1, _usable),
    Counted("context.answers", "higher", 0.05, _answers),
    Stated("memory.loaded_bytes", "lower", 0.05, _loaded),
    Stated("memory.planned_bytes", "lower", 0.05, _planned),
    Stated("cost.usd_per_m_out", "lower", 0.05, _usd),
    Counted("failed", "lower", 0.01, _of_stages(_failed)),
    Counted("refused", "lower", 0.01, _of_stages(_refused)),
    Counted("good", "higher", 0.05, _of_stages(_good)),
    Repeated("cold.first_ms", "lower", _first_answers),
    Repeated("quants.decode_tok_s", "higher", _decode_rates),
    Stated(
        "quants.perplexity", "lower", 0.01, _of_forms(lambda form: form.quality.perplexity if form.quality else None)
    ),
    Stated(
        "quants.divergence", "lower", 0.02, _of_forms(lambda form: form.quality.divergence if form.quality else None)
    ),
    Stated("memory.form_bytes", "lower", 0.05, _of_forms(lambda form: form.peak_bytes)),
    Stated("calibration.error_ms", "lower", 0.5, _client_errors),
    Stated("calibration.faults", "lower", 0.0, _client_faults),
)
FAMILIES = {family.name: family for family in ALL}


def read_measure(text: str) -> Measure:
    """Raises BenchError naming what there is."""
    if text in FAMILIES:
        return FAMILIES[text]
    if text.partition(".")[0] not in DIRECTIONS:
        raise BenchError(f"no metric {text!r}; there are {', '.join((*DIRECTIONS, *FAMILIES))}")
    return read_metric(text)
