"""One serverless worker under random traffic: what is billed for a request, and how many requests start it.

Requests come as a Poisson process of rate l, wait in one queue, and keep the worker busy for S seconds each on average.
When nothing is left the worker stays for T seconds (the idle timeout), then stops. A request that finds it stopped
starts it, which takes C seconds; those that come meanwhile wait with it and share that start.

This is an M/G/1 queue whose busy period begins with an exceptional first service (Welch, Operations Research 12(5),
1964): with probability p = e^(-lT) that service is S + C, else S. With r = l S < 1 a cycle serves

    N = (1 + l p C) / (1 - r)  requests,   is busy for  (S + p C) / (1 - r),   and idle but kept for  (1 - p) / l

seconds. So a request is billed (S + p C + (1 - r)(1 - p) / l) / (1 + l p C) seconds. For rare requests (l S, l C << 1)
that becomes S + (1 - p) / l + C p, the form in which nobody ever waits in a queue.

More traffic than one worker takes is spread over several: each then sees its share of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import BenchError

FULL = 0.95
"""The highest share of time that a worker is taken to be busy: beyond it, queues grow long."""

STEPS = 200
"""Of a bisection: far more than a float can tell apart."""


@dataclass(frozen=True)
class Worker:
    """Seconds: `busy_s` for a request (S), `cold_s` to start (C), `idle_timeout_s` (T), which is billed or not."""

    busy_s: float
    cold_s: float
    idle_timeout_s: float
    bills_idle: bool = True

    @property
    def max_rate(self) -> float:
        """Requests per second, at FULL."""
        return FULL / self.busy_s


@dataclass(frozen=True)
class Share:
    """For one request, in the mean: seconds that are billed, and the share of requests that start the worker."""

    billed_s: float
    cold: float


def expected(worker: Worker, rate: float) -> Share:
    """By the formula above. Raises BenchError for a rate that one worker cannot keep up with."""
    busy, cold, timeout = worker.busy_s, worker.cold_s, worker.idle_timeout_s
    load = rate * busy
    if not 0 < load < 1:
        raise BenchError(f"{rate:g} requests a second of {busy:g} s each: one worker takes more than 0, less than all")
    stopped = math.exp(-rate * timeout)
    idle = (1 - load) * (1 - stopped) / rate if worker.bills_idle else 0.0
    shared = 1 + rate * stopped * cold
    return Share((busy + stopped * cold + idle) / shared, stopped * (1 - load) / shared)


def simulated(worker: Worker, rate: float, *, requests: int, seed: int) -> Share:
    """The same by playing it out, request after request, each of exactly `busy_s`."""
    chance = random.Random(seed)
    now = free_at = billed = 0.0
    starts = 0
    for _ in range(requests):
        now += chance.expovariate(rate)
        idle = max(now - free_at, 0.0)
        stopped = idle > worker.idle_timeout_s
        billed += min(idle, worker.idle_timeout_s) if worker.bills_idle else 0.0
        starts += stopped
        work = worker.busy_s + (worker.cold_s if stopped else 0.0)
        billed += work
        free_at = max(now, free_at) + work
    return Share(billed / requests, starts / requests)


def timeout_for(worker: Worker, rate: float, cold: float) -> float:
    """The shortest idle timeout with which at most the share `cold` of requests start the worker; 0 if none is needed.

    The share p (1 - r) / (1 + l p C) solved for p, and p = e^(-lT) for T.
    """
    free = 1 - rate * worker.busy_s - rate * cold * worker.cold_s
    if free <= 0:
        return 0.0
    stopped = cold / free
    return 0.0 if stopped >= 1 else -math.log(stopped) / rate


def falls_to(cost: Callable[[float], float], target: float, highest: float) -> float | None:
    """The rate from which on `cost`, which only falls with the rate, is at most `target`; None if never up to `highest`
    and 0 if always."""
    low, high = highest * 1e-9, highest
    if cost(high) > target:
        return None
    if cost(low) <= target:
        return 0.0
    for _ in range(STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if cost(middle) > target else (low, middle)
    return high
