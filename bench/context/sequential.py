"""When enough questions have been asked: as soon as the interval of the score lies on one side of the threshold."""

from __future__ import annotations

from bench.context.parts import Verdict
from bench.stats import wilson

MANY = 100_000


def judge(right: int, n: int, threshold: float) -> Verdict:
    """Asked after every block, so the chance of a wrong verdict is a few times the 2.5 % of a single look."""
    low, high = wilson(right, n)
    if low >= threshold:
        return "holds"
    return "fails" if high < threshold else "unresolved"


def questions_to_resolve(right: int, n: int, threshold: float) -> int | None:
    """Questions that would settle it if the score stayed as it is; None where it lies on the threshold itself."""
    count = n
    while count < MANY:
        if judge(round(right / n * count), count, threshold) != "unresolved":
            return count
        count += max(1, count // 20)
    return None
