"""Loads that are several stages: a sweep over given steps, a search that chooses its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log, log2
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from bench.stages import (
    MAX_IN_FLIGHT,
    AnyStage,
    Closed,
    Constant,
    Gaps,
    InFlight,
    LoadSpec,
    Poisson,
    Ramp,
    Rate,
    check_end,
)
from bench.stats import wilson
from bench.strict import Seconds, Strict


class Sweep(LoadSpec):
    """The same load at each of several numbers of clients (closed loop) or rates (open loop), from low to high, each a
    stage of its own."""

    kind: Literal["sweep"]
    concurrency: tuple[int, ...] | None = Field(default=None, min_length=2)
    rate: tuple[Rate, ...] | None = Field(default=None, min_length=2)
    requests: int | None = Field(default=None, ge=1, description="of each stage")
    duration: Seconds | None = Field(default=None, description="of each stage")
    arrivals: Gaps = "poisson"
    max_in_flight: InFlight = MAX_IN_FLIGHT

    @model_validator(mode="after")
    def _sweeps_one_thing_upwards(self) -> Self:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError(f"sweep {self.name!r}: give either `concurrency` or `rate`, a list")
        values = self.concurrency or self.rate or ()
        if list(values) != sorted(set(values)):
            raise ValueError(f"sweep {self.name!r}: list {values} from low to high, each value once")
        if self.concurrency and self.requests is None:
            raise ValueError(f"sweep {self.name!r}: clients need a number of `requests`")
        self.steps()
        return self

    def steps(self) -> tuple[AnyStage, ...]:
        if self.concurrency:
            return tuple(self._closed(clients) for clients in self.concurrency)
        return tuple(self._open(rate) for rate in self.rate or ())

    def _closed(self, clients: int) -> Closed:
        common = self.model_dump(include={"prompts", "drain", "neighbours", "duration", "requests"})
        return Closed.model_validate(common | {"name": f"{self.name}-c{clients}", "concurrency": clients})

    def _open(self, rate: float) -> Poisson | Constant:
        kind = Poisson if self.arrivals == "poisson" else Constant
        return kind.model_validate(
            self.model_dump(include={"prompts", "drain", "neighbours", "duration", "requests", "max_in_flight"})
            | {"name": f"{self.name}-r{rate:g}", "kind": self.arrivals, "rate": rate}
        )

    @property
    def num_requests(self) -> int:
        return sum(step.num_requests for step in self.steps())

    @property
    def words(self) -> str:
        values = ", ".join(f"{value:g}" for value in self.concurrency or self.rate or ())
        return f"{values} {'clients' if self.concurrency else 'requests/s'}"


class Goodput(Strict):
    """Find the highest rate at which a share of at least `attain` of the requests meets the scenario's `slo`, to within
    `resolution` (0.1: the next higher rate tried is at most 10 % higher)."""

    search: Literal["goodput"]
    lo: Rate
    hi: Rate
    attain: float = Field(default=0.95, gt=0, lt=1)
    resolution: float = Field(default=0.1, ge=0.01, le=1)

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.lo >= self.hi:
            raise ValueError(f"lo ({self.lo:g}) must be below hi ({self.hi:g})")
        return self

    @property
    def max_probes(self) -> int:
        """Doubling from lo to hi, then halving the last octave down to the resolution."""
        return ceil(log2(self.hi / self.lo)) + 1 + self.max_halvings

    @property
    def max_halvings(self) -> int:
        return ceil(log2(log(2) / log(1 + self.resolution)))


class Search(LoadSpec):
    """Poisson stages at rates chosen by what the earlier ones showed. `duration` or `requests` of each."""

    kind: Literal["poisson"]
    rate: Goodput
    duration: Seconds | None = None
    requests: int | None = Field(default=None, ge=1)
    max_in_flight: InFlight = MAX_IN_FLIGHT

    @model_validator(mode="after")
    def _can_prove_its_share(self) -> Self:
        check_end(self.name, self.duration, self.requests)
        num = self.probe(self.rate.lo).num_requests
        if wilson(num, num)[0] < self.rate.attain:
            raise ValueError(
                f"search {self.name!r}: {num} requests at {self.rate.lo:g}/s, even if all are good, cannot prove a"
                f" share of {self.rate.attain:g}: more requests, a longer duration, a higher lo or a lower attain can"
            )
        return self

    def probe(self, rate: float) -> Poisson:
        return Poisson.model_validate(
            self.model_dump(exclude={"rate", "name"}) | {"rate": rate, "name": f"{self.name}-r{rate:g}"}
        )

    @property
    def num_requests(self) -> int:
        return self.rate.max_probes * self.probe(self.rate.hi).num_requests

    @property
    def words(self) -> str:
        return f"Poisson arrivals, goodput sought between {self.rate.lo:g} and {self.rate.hi:g} requests/s"


def _tag(entry: Any) -> str | None:
    """Of an entry as it stands in the file, where `kind` may be left out and a search is written as a rate."""
    if isinstance(entry, LoadSpec):
        return "search" if isinstance(entry, Search) else str(entry.model_dump()["kind"])
    if not isinstance(entry, Mapping):
        return None
    searches = isinstance(entry.get("rate"), Mapping)
    return "search" if searches else str(entry.get("kind", "closed"))


AnyLoad: TypeAlias = Annotated[
    Annotated[Closed, Tag("closed")]
    | Annotated[Poisson, Tag("poisson")]
    | Annotated[Constant, Tag("constant")]
    | Annotated[Ramp, Tag("ramp")]
    | Annotated[Sweep, Tag("sweep")]
    | Annotated[Search, Tag("search")],
    Discriminator(_tag),
]


def stages_of(load: Iterable[AnyLoad]) -> list[AnyStage]:
    """What is known beforehand to be measured, in order: a sweep step by step, of a search nothing."""
    stages: list[AnyStage] = []
    for entry in load:
        match entry:
            case Sweep():
                stages += entry.steps()
            case Search():
                pass
            case _:
                stages.append(entry)
    return stages
