"""What a million tokens costs."""

from __future__ import annotations

from pydantic import BaseModel

from bench.cost.prices import Price


class RequestUse(BaseModel, frozen=True):
    """`busy_s` = tokens out / out tok/s of all requests together, where that was measured; else the time for the prompt
    and then for the answer. `prefill_share` of it goes to the prompt."""

    tokens_in: float
    tokens_out: float
    busy_s: float
    prefill_share: float
    basis: str


class Point(BaseModel, frozen=True):
    """`usd_per_m_out` charges everything to the tokens that are written; `usd_per_m_in` and `usd_per_m_written` split
    it by the time that prompts and answers take."""

    per_hour: float
    usd_per_m_out: float
    usd_per_m_in: float
    usd_per_m_written: float
    cold: float


class Curve(BaseModel, frozen=True):
    idle_timeout_s: float
    points: list[Point]


class Check(BaseModel, frozen=True):
    """Seconds billed for a request, by the formula and by playing it out."""

    per_hour: float
    expected_s: float
    simulated_s: float


class Advice(BaseModel, frozen=True):
    """With `idle_timeout_s`, at most `wanted_cold` of the requests start a worker; `usd_per_request` beside that of
    stopping at once."""

    per_hour: float
    wanted_cold: float
    idle_timeout_s: float
    cold: float
    usd_per_request: float
    usd_per_request_at_once: float
    cold_at_once: float


class CostPart(BaseModel, frozen=True):
    """Rates are requests per hour for one worker. A break-even is the rate from which on the worker is cheaper than an
    API, and from which on an always active worker is cheaper; 0: from the first request; None: never, or not asked."""

    price: Price
    use: RequestUse
    cold_s: float
    idle_timeout_s: float
    curves: list[Curve]
    check: Check
    api_usd_per_m: tuple[float, float] | None
    break_even_api_per_hour: float | None
    break_even_active_per_hour: float | None
    advice: Advice | None
