"""Stages: one load, measured as it stands: what is asked, how often, by whom.

Closed loops have clients that wait for their answers; open ones have arrivals that wait for nobody. Each of them ends
by itself: requests in flight, requests and seconds all have a limit.
"""

from __future__ import annotations

from abc import abstractmethod
from math import ceil, inf
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from bench.prompt_spec import Prompts
from bench.strict import Seconds, Strict

Rate = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
"""Requests per second."""
Gaps: TypeAlias = Literal["poisson", "constant"]
"""Between arrivals: exponential (many independent users) or all alike."""
InFlight = Annotated[int, Field(ge=1, le=10_000)]
MAX_IN_FLIGHT = 512
"""Leaves room in the usual limit of 1024 open files."""


class LoadSpec(Strict):
    """One entry of a scenario's `load`."""

    name: str = Field(min_length=1)
    prompts: Prompts
    drain: Seconds = Field(default=900, description="what still runs so long after the last request began is cut off")
    neighbours: int = Field(
        default=0, ge=0, le=256, description="processes that each keep a core of this host busy while it is measured"
    )

    @property
    @abstractmethod
    def num_requests(self) -> int:
        """Per target and round: the most of a closed loop or search, the number to expect of an open loop."""

    @property
    @abstractmethod
    def words(self) -> str:
        """Who asks, how often."""

    @property
    def whole_words(self) -> str:
        """The same and what else the host has to do."""
        busy = {0: "", 1: ", beside a busy process"}.get(self.neighbours, f", beside {self.neighbours} busy processes")
        return f"{self.words}{busy}"


class Stage(LoadSpec):
    """One load, measured as it stands."""

    @property
    @abstractmethod
    def num_clients(self) -> int:
        """As many requests at once as wake up what will be busy."""


class Closed(Stage):
    """`concurrency` clients, each sending its next request when its last one has ended. With a `duration` no request
    begins later than that."""

    kind: Literal["closed"] = "closed"
    concurrency: int = Field(ge=1, le=1024)
    requests: int = Field(ge=1, description="per target and round")
    duration: Seconds | None = None

    @property
    def num_requests(self) -> int:
        return self.requests

    @property
    def num_clients(self) -> int:
        return self.concurrency

    @property
    def words(self) -> str:
        return f"{self.concurrency} client{'s' if self.concurrency > 1 else ''}"


class Hold(NamedTuple):
    """A stretch of time with one rate of arrivals."""

    rate: float
    seconds: float


class Open(Stage):
    """Requests are due at moments computed beforehand, whatever became of the earlier ones. Beyond `max_in_flight` they
    wait in the client: late, and timed from when they were due."""

    max_in_flight: InFlight = MAX_IN_FLIGHT

    @property
    @abstractmethod
    def gaps(self) -> Gaps: ...

    @abstractmethod
    def profile(self) -> tuple[Hold, ...]:
        """The rate over time."""

    @property
    def most_requests(self) -> int | None:
        """Where the profile does not end by itself."""
        return None

    @property
    def num_requests(self) -> int:
        return self.most_requests or round(sum(hold.rate * hold.seconds for hold in self.profile()))

    @property
    def num_clients(self) -> int:
        """About what arrives in a second."""
        return min(ceil(self.profile()[0].rate), self.max_in_flight)


class FixedRate(Open):
    """One rate, for a `duration` or for a number of `requests`."""

    rate: Rate
    duration: Seconds | None = None
    requests: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _ends_in_one_way(self) -> Self:
        check_end(self.name, self.duration, self.requests)
        return self

    def profile(self) -> tuple[Hold, ...]:
        return (Hold(self.rate, self.duration or inf),)

    @property
    def most_requests(self) -> int | None:
        return self.requests


class Poisson(FixedRate):
    """Exponential gaps of mean 1 / rate."""

    kind: Literal["poisson"]

    @property
    def gaps(self) -> Gaps:
        return "poisson"

    @property
    def words(self) -> str:
        return f"Poisson arrivals, {self.rate:g} requests/s"


class Constant(FixedRate):
    """One arrival every 1 / rate seconds."""

    kind: Literal["constant"]

    @property
    def gaps(self) -> Gaps:
        return "constant"

    @property
    def words(self) -> str:
        return f"{self.rate:g} requests/s, evenly spaced"


class Ramp(Open):
    """The rate rises (or falls) in even `steps`, each held for `hold`, without a pause between them: a queue that one
    step leaves behind is the next one's."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["ramp"]
    from_: Rate = Field(alias="from")
    to: Rate
    steps: int = Field(ge=2, le=100)
    hold: Seconds
    arrivals: Gaps = "poisson"

    @property
    def gaps(self) -> Gaps:
        return self.arrivals

    def profile(self) -> tuple[Hold, ...]:
        step = (self.to - self.from_) / (self.steps - 1)
        return tuple(Hold(self.from_ + number * step, self.hold) for number in range(self.steps))

    @property
    def words(self) -> str:
        return f"from {self.from_:g} to {self.to:g} requests/s in {self.steps} steps of {self.hold:g} s"


AnyStage: TypeAlias = Annotated[Closed | Poisson | Constant | Ramp, Field(discriminator="kind")]
"""As it is written to and read from a file."""


def check_end(name: str, duration: float | None, requests: int | None) -> None:
    if (duration is None) == (requests is None):
        raise ValueError(f"{name!r}: give either `duration` or `requests`")
