"""The cost of a mean request, from what it takes of a worker and what the worker costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bench.cost.prices import Price
from bench.cost.result import Advice, Check, CostPart, Curve, Point, RequestUse
from bench.cost.worker import Worker, expected, falls_to, simulated, timeout_for

HOUR = 3600.0
TIMEOUTS = (0.0, 60.0, 300.0)
"""Seconds, beside the one that is asked for."""
LEAST_PER_HOUR = 0.1
POINTS_PER_DECADE = 8
CHECK_REQUESTS, CHECK_SEED = 100_000, 1


def make_cost(
    use: RequestUse,
    price: Price,
    *,
    cold_s: float,
    idle_timeout_s: float,
    api_usd_per_m: tuple[float, float] | None = None,
    per_hour: float | None = None,
    wanted_cold: float = 0.05,
) -> CostPart:
    """`api_usd_per_m` are an API's prices of input and output to compare with; with `per_hour` there is advice for that
    traffic. Raises BenchError for more traffic than one worker takes."""
    worker = Worker(use.busy_s, cold_s, idle_timeout_s, price.bills_idle)
    timeouts = sorted({*TIMEOUTS, idle_timeout_s}) if price.bills_idle else [idle_timeout_s]
    workers = [dataclasses.replace(worker, idle_timeout_s=timeout) for timeout in timeouts]
    rates = _rates(worker)
    return CostPart(
        price=price,
        use=use,
        cold_s=cold_s,
        idle_timeout_s=idle_timeout_s,
        curves=[_curve(each, rates, use, price) for each in workers],
        check=_check(worker, rates[len(rates) // 2]),
        api_usd_per_m=api_usd_per_m,
        break_even_api_per_hour=_beats_api(worker, use, price, api_usd_per_m) if api_usd_per_m else None,
        break_even_active_per_hour=_beaten_by_active(worker, price),
        advice=_advice(worker, price, per_hour / HOUR, wanted_cold) if per_hour else None,
    )


def usd_per_request(worker: Worker, price: Price, rate: float) -> float:
    return expected(worker, rate).billed_s * price.usd_per_second + price.usd_per_request


def _rates(worker: Worker) -> list[float]:
    """Requests per second, evenly on a logarithmic axis up to what one worker takes."""
    least, most = LEAST_PER_HOUR / HOUR, worker.max_rate
    steps, rates = 10 ** (1 / POINTS_PER_DECADE), [most]
    while rates[-1] > least:
        rates.append(rates[-1] / steps)
    return rates[::-1]


def _curve(worker: Worker, rates: Sequence[float], use: RequestUse, price: Price) -> Curve:
    return Curve(idle_timeout_s=worker.idle_timeout_s, points=[_point(worker, rate, use, price) for rate in rates])


def _point(worker: Worker, rate: float, use: RequestUse, price: Price) -> Point:
    usd = usd_per_request(worker, price, rate)
    return Point(
        per_hour=rate * HOUR,
        usd_per_m_out=usd / use.tokens_out * 1e6,
        usd_per_m_in=usd * use.prefill_share / use.tokens_in * 1e6,
        usd_per_m_written=usd * (1 - use.prefill_share) / use.tokens_out * 1e6,
        cold=expected(worker, rate).cold,
    )


def _check(worker: Worker, rate: float) -> Check:
    played = simulated(worker, rate, requests=CHECK_REQUESTS, seed=CHECK_SEED)
    return Check(per_hour=rate * HOUR, expected_s=expected(worker, rate).billed_s, simulated_s=played.billed_s)


def _beats_api(worker: Worker, use: RequestUse, price: Price, api: tuple[float, float]) -> float | None:
    target = (use.tokens_in * api[0] + use.tokens_out * api[1]) / 1e6
    found = falls_to(lambda rate: usd_per_request(worker, price, rate), target, worker.max_rate)
    return None if found is None else found * HOUR


def _beaten_by_active(worker: Worker, price: Price) -> float | None:
    """From where a request's share of an always active worker, price / rate, is less than what it is billed for here.

    The billed share of time, rate x billed seconds, only rises with the rate; so its negative only falls.
    """
    active = price.active_usd_per_second
    if active is None:
        return None
    found = falls_to(lambda rate: -rate * usd_per_request(worker, price, rate), -active, worker.max_rate)
    return None if found is None else found * HOUR


def _advice(worker: Worker, price: Price, rate: float, wanted_cold: float) -> Advice:
    kept = dataclasses.replace(worker, idle_timeout_s=timeout_for(worker, rate, wanted_cold))
    at_once = dataclasses.replace(worker, idle_timeout_s=0.0)
    return Advice(
        per_hour=rate * HOUR,
        wanted_cold=wanted_cold,
        idle_timeout_s=kept.idle_timeout_s,
        cold=expected(kept, rate).cold,
        usd_per_request=usd_per_request(kept, price, rate),
        usd_per_request_at_once=usd_per_request(at_once, price, rate),
        cold_at_once=expected(at_once, rate).cold,
    )
