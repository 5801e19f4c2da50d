"""How long a prompt may be before answers come too late: fitted over lengths, solved for the SLO.

TTFT(L) = a + bL + cL^2: a for everything but the prompt, b for the weights that each token passes, c for the attention
of each token to all before it. ITL(L) = d + eL: the weights once, and the cache of L tokens.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import combinations
from statistics import median

import numpy as np

from bench.context.parts import Fit, LatencyPart, Timing
from bench.slo import Slo

CONFIRMATIONS = 3
"""Prompts of each length at which the SLO is confirmed; their medians count."""
MAX_STEPS = 4
AIM_LEAST, AIM = 0.85, 0.95
"""Parts of the SLO: used up to between the first and 1 is near enough; the next try aims at the second."""
SHORTEST = 64
"""Tokens; a shorter prompt says nothing of use."""

Time = Callable[[int], Awaitable[Timing]]
"""Times one prompt of about so many tokens."""


def fit_ttft(timings: Sequence[Timing]) -> Fit | None:
    return fit([timing.tokens for timing in timings], [timing.ttft_ms for timing in timings], degree=2)


def fit_itl(timings: Sequence[Timing]) -> Fit | None:
    known = [(timing.tokens, timing.itl_ms) for timing in timings if timing.itl_ms]
    return fit([tokens for tokens, _ in known], [itl for _, itl in known], degree=1)


def fit(tokens: Sequence[int], values: Sequence[float], *, degree: int) -> Fit | None:
    """Least squares of the relative errors, so that short prompts count as much as long ones, with no coefficient below
    zero: each is a time. The best of all choices of terms, which for three is soon tried. None for fewer than two
    lengths; no more terms than there are lengths."""
    degree = min(degree, len(set(tokens)) - 1)
    if degree < 1:
        return None
    powers = np.stack([np.array(tokens, float) ** k for k in range(degree + 1)], axis=1) / np.array(values)[:, None]
    best, least = [float(np.mean(values))], math.inf
    for count in range(1, degree + 2):
        for terms in combinations(range(degree + 1), count):
            solved = np.linalg.lstsq(powers[:, terms], np.ones(len(values)), rcond=None)[0]
            error = float(((powers[:, terms] @ solved - 1) ** 2).sum())
            if (solved >= 0).all() and error < least:
                best, least = [0.0] * (degree + 1), error
                for term, coefficient in zip(terms, solved, strict=True):
                    best[term] = float(coefficient)
    return Fit(coefficients=best)


def value_at(found: Fit, tokens: float) -> float:
    return sum(coefficient * tokens**power for power, coefficient in enumerate(found.coefficients))


def longest_within(found: Fit, limit_ms: float) -> float:
    """The largest L at which the fit is at most `limit_ms`: the positive root of a + bL + cL^2 = limit. Infinite where
    it never is more, 0 where it always is."""
    a, b, c = [*found.coefficients, 0.0, 0.0][:3]
    room = limit_ms - a
    if room < 0:
        return 0.0
    if c > 0:
        return (-b + math.sqrt(b * b + 4 * c * room)) / (2 * c)
    return room / b if b > 0 else math.inf


def predict(ttft: Fit, itl: Fit | None, slo: Slo) -> float:
    """The longest prompt that keeps every limit; there is no fit of ITL where the server sends answers whole."""
    fits = {"ttft_ms": ttft, "itl_ms": itl}
    lengths = [longest_within(found, limit) for name, limit in slo.limits.items() if (found := fits[name])]
    return min(lengths, default=math.inf)


def latency_part(
    timings: Sequence[Timing], slo: Slo, confirmed: int | None, confirmations: Sequence[Timing]
) -> LatencyPart | None:
    """What is known so far; None where nothing was timed. There is a prediction only where the longest prompt breaks
    the SLO: beyond it nothing could be confirmed."""
    if not timings:
        return None
    ttft, itl = fit_ttft(timings), fit_itl(timings)
    top = max(timing.tokens for timing in timings)
    is_broken = not all(keeps(timing, slo) for timing in timings if timing.tokens == top)
    return LatencyPart(
        slo=slo,
        timings=list(timings),
        ttft_fit=ttft,
        itl_fit=itl,
        predicted=min(top, int(predict(ttft, itl, slo))) if ttft and is_broken else None,
        confirmed=confirmed,
        confirmations=list(confirmations),
    )


def keeps(timing: Timing, slo: Slo) -> bool:
    return used_up(timing, slo) <= 1


def used_up(timing: Timing, slo: Slo) -> float:
    """The largest part of a limit that it took; 1 is all of it."""
    return max((getattr(timing, name) or 0.0) / limit for name, limit in slo.limits.items())


async def confirm(predicted: int, slo: Slo, time: Time, *, longest: int) -> tuple[int | None, list[Timing]]:
    """The longest prompt that kept the SLO where it was tried: first at the prediction, then shorter or longer by as
    much as the last missed the SLO, at most `longest`. None where none kept it."""
    seen: list[Timing] = []
    kept, tokens, broken = None, max(predicted, SHORTEST), longest + 1
    for _ in range(MAX_STEPS):
        found = [await time(tokens) for _ in range(CONFIRMATIONS)]
        seen += found
        middle = _middle(found)
        used = used_up(middle, slo)
        if used <= 1:
            kept = max(kept or 0, middle.tokens)
        else:
            broken = tokens
        following = min(int(tokens * min(2.0, max(0.5, AIM / used))), longest)
        if AIM_LEAST <= used <= 1 or not SHORTEST <= following < broken or following == tokens:
            break
        tokens = following
    return kept, seen


def _middle(timings: Sequence[Timing]) -> Timing:
    itls = [timing.itl_ms for timing in timings if timing.itl_ms is not None]
    return Timing(
        tokens=round(median(timing.tokens for timing in timings)),
        cached=None,
        ttft_ms=median(timing.ttft_ms for timing in timings),
        itl_ms=median(itls) if itls else None,
    )
