"""What the load part of the bench adds to a result: attainment of an SLO, curves over load, goodput searches."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Found(BaseModel):
    model_config = ConfigDict(frozen=True)


class Attainment(Found):
    """How many of the requests that were due met the SLO; failures, refusals and requests cut off by the drain count
    as misses. `low` and `high` are the 95 % Wilson interval of good / n."""

    good: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        return self.good / self.n if self.n else None


class Point(Found):
    """One step of a sweep or ramp, and the stage that it was or was part of. `x` is the number of clients, or the
    requests per second that were asked for. Where some round was not `steady`, rates count start and drain too."""

    stage: str
    x: float
    steady: bool = True
    requested_req_s: float | None
    achieved_req_s: float | None
    out_tok_s: float | None
    decode_tok_s: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    e2e_p50_ms: float | None
    e2e_p95_ms: float | None
    goodput: Attainment | None
    saturated: str | None
    doubted: bool


class Curve(Found):
    """A sweep or ramp on one target. `knee` is where its throughput (output tokens over clients, or requests completed
    over requests asked for) stops rising as it did, `saturation` the lowest rate that the server did not keep up with.
    """

    load: str
    target: str
    x: Literal["clients", "req_s"]
    points: list[Point]
    knee: float | None
    saturation: float | None


class Probe(Found):
    """One rate tried: `attained` if the lower bound reaches the share that is sought, `missed` if the upper one does
    not, else `unproven`, which counts as not attained."""

    stage: str
    rate: float
    goodput: Attainment
    verdict: Literal["attained", "missed", "unproven"]


class GoodputFound(Found):
    """One search on one target in one round. `rate` is the highest that attained the share, None if none did;
    `limited_by` says what kept it from being higher."""

    load: str
    target: str
    round: int
    attain: float
    rate: float | None
    limited_by: Literal["slo", "hi", "lo", "stopped"]
    probes: list[Probe]
