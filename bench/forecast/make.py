"""A scenario's forecast: its work, at the rates and the prices of its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.forecast.money import AnyPrice, usd
from bench.forecast.rates import Rates
from bench.forecast.work import Work, works
from bench.scenario import Scenario

PAID_KINDS = ("runpod",)


@dataclass(frozen=True)
class Line:
    """One stage on one target, a `Work` for each round. `arriving_s` is exact and None for clients, `computing_s` an
    estimate; both of all rounds. `usd` is None where no price is known."""

    target: str
    works: tuple[Work, ...]
    arriving_s: float | None
    computing_s: float
    usd: float | None

    @property
    def seconds(self) -> float:
        return (self.arriving_s or 0.0) + self.computing_s


@dataclass(frozen=True)
class Forecast:
    """`unpriced` are targets that cost money nobody has said."""

    scenario: Scenario
    lines: tuple[Line, ...]
    rates: Mapping[str, Rates]
    prices: Mapping[str, AnyPrice]
    unpriced: tuple[str, ...]

    @property
    def requests(self) -> int:
        return sum(work.requests for line in self.lines for work in line.works)

    @property
    def tokens_in(self) -> int:
        return sum(work.tokens_in for line in self.lines for work in line.works)

    @property
    def tokens_out(self) -> int:
        return sum(work.tokens_out for line in self.lines for work in line.works)

    @property
    def seconds(self) -> float:
        return sum(line.seconds for line in self.lines)

    @property
    def usd(self) -> float | None:
        """Of the targets with a price; None where none has one."""
        known = [line.usd for line in self.lines if line.usd is not None]
        return sum(known) if known else None

    @property
    def at_most(self) -> bool:
        return any(work.at_most for line in self.lines for work in line.works)


def make_forecast(scenario: Scenario, rates: Mapping[str, Rates], prices: Mapping[str, AnyPrice]) -> Forecast:
    """`rates` of every target, `prices` of those that are paid. Raises BenchError for prompts that cannot be read."""
    names = [target.name for target in scenario.targets]
    rounds = [works(scenario, number) for number in range(scenario.measure.rounds)]
    by_stage = list(zip(*rounds, strict=True))
    return Forecast(
        scenario,
        tuple(_line(name, stage, rates[name], prices.get(name)) for stage in by_stage for name in names),
        rates,
        prices,
        tuple(t.name for t in scenario.targets if t.kind in PAID_KINDS and t.name not in prices),
    )


def _line(target: str, stage: Sequence[Work], rates: Rates, price: AnyPrice | None) -> Line:
    arriving = [work.arriving_s for work in stage if work.arriving_s is not None]
    arriving_s = sum(arriving) if arriving else None
    computing_s = sum(rates.seconds(work) for work in stage)
    charged = None
    if price is not None:
        charged = usd(
            price,
            requests=sum(work.requests for work in stage),
            tokens_in=sum(work.tokens_in for work in stage),
            tokens_out=sum(work.tokens_out for work in stage),
            seconds=(arriving_s or 0.0) + computing_s,
            pauses=len(stage),
        )
    return Line(target, tuple(stage), arriving_s, computing_s, charged)
