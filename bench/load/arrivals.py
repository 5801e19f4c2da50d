"""When the requests of an open loop are due: all of it computed before the first is sent, from a seed.

Arrivals of rate 1 are stretched by the stage's rate over time: with L(t) the integral of the rate, the n-th arrival is
where L(t) = the n-th arrival of the unit process (time change of a Poisson process; Cinlar, Introduction to Stochastic
Processes, 1975, 4.7). So one seed gives the same pattern at every rate, and two rates differ by nothing but their rate.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate, count, islice, repeat

from bench.errors import BenchError
from bench.stages import Gaps, Hold, Open


def arrivals(stage: Open, seed: str) -> list[float]:
    """Seconds after the stage's start, ascending. Raises BenchError if nothing arrives within the stage."""
    due = list(islice(_stretched(_unit_arrivals(stage.gaps, seed), stage.profile()), stage.most_requests))
    if not due:
        raise BenchError(f"load {stage.name!r} ({stage.words}) is over before a request arrives: make it longer")
    return due


def round_arrivals(stage: Open, seed: int, number: int) -> list[float]:
    """Of one round: the same for every target and, but for their rates, for every stage."""
    return arrivals(stage, f"{seed}/round {number}")


def _unit_arrivals(gaps: Gaps, seed: str) -> Iterator[float]:
    """One a second on average, without end. Even ones begin at once."""
    if gaps == "constant":
        return map(float, count())
    rng = random.Random(seed)
    return accumulate(rng.expovariate(1.0) for _ in repeat(None))


def _stretched(unit: Iterator[float], profile: Sequence[Hold]) -> Iterator[float]:
    """Where each unit arrival falls in the profile, until the profile ends."""
    began, passed = 0.0, 0.0
    moment = next(unit)
    for rate, seconds in profile:
        while moment < passed + rate * seconds:
            yield began + (moment - passed) / rate
            moment = next(unit)
        began, passed = began + seconds, passed + rate * seconds
