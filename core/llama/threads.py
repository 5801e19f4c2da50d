"""How many threads compute, as the machine allows from moment to moment.

ggml's threads meet at a barrier after every operation, and the others spin until the last one comes. While a neighbour
holds one core, all of them are as slow as the one that shares it: fewer threads are then faster. Nobody tells a process
in a container what its neighbours do, but it knows what it got: spinning threads take all the time that they are given,
so what is missing between their CPU time and the wall's was taken by somebody else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger("warmfn.threads")

WINDOW = 0.05
"""Seconds of steps that are judged together: with less, one accident would count."""

NOTEWORTHY = 0.25
"""Cores; less may be the threads' own waking up."""

SOONEST, LATEST = 0.5, 8.0
"""Seconds of computing until a thread more is tried. The wait doubles with each try that was too early: one on a
busy machine costs a WINDOW of slow steps."""


class Threads:
    """The thread counts of one context, for steps of one row and of more, which llama.cpp counts apart. With
    `governed` False they stay as they are: where a GPU computes, the CPU's threads have little to do.

    `on_change` is called when other numbers are used from now on.
    """

    def __init__(self, single: int, batched: int, *, governed: bool, name: str) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._most = (single, batched)
        self._governor = ThreadGovernor(max(single, batched), name) if governed else None

    @property
    def now(self) -> int:
        """The most that a step has at present. Any thread may ask."""
        return self._governor.threads if self._governor else max(self._most)

    def of(self, rows: int) -> int:
        """For the next step."""
        return min(self._most[rows > 1], self.now)

    def observe(self, rows: int, seconds: float, cpu_seconds: float) -> None:
        """A step of `rows` rows took `seconds`, in which this process computed for `cpu_seconds`."""
        if self._governor and self._governor.observe(self.of(rows), seconds, cpu_seconds):
            self.on_change()


class ThreadGovernor:
    """`threads` is what a step may have, at most `most`. Only one thread at a time may call `observe`.

    One of n threads that gets the share s of a core makes all as slow as that; without it the others are (n - 1)/n
    as fast: so a thread less is better once more than 1/n of a core is missing.
    """

    def __init__(self, most: int, name: str = "") -> None:
        self.threads = most
        self._name = name
        self._ladder = ladder(most)
        self._seconds = self._missing = 0.0
        self._since_change = 0.0
        self._patience = SOONEST
        self._is_trying = False

    def observe(self, threads: int, seconds: float, cpu_seconds: float) -> bool:
        """A step with so many threads. Returns whether `threads` has changed."""
        self._seconds += seconds
        self._missing += max(threads * seconds - cpu_seconds, 0.0)
        if self._seconds < WINDOW:
            return False
        missing, self._since_change = self._missing / self._seconds, self._since_change + self._seconds
        self._seconds = self._missing = 0.0
        if threads > 1 and missing > max(1 / threads, NOTEWORTHY):
            self._patience = min(2 * self._patience, LATEST) if self._is_trying else SOONEST
            return self._change(+1, f"of {threads} cores {missing:.2f} were somebody else's")
        self._is_trying = self.threads < self._ladder[0] and self._since_change >= self._patience
        return self._is_trying and self._change(-1, "perhaps the machine is quiet again")

    def _change(self, rungs: int, reason: str) -> bool:
        before = self.threads
        self.threads = self._ladder[self._ladder.index(before) + rungs]
        self._since_change = 0.0
        level = logging.INFO if rungs > 0 else logging.DEBUG
        logger.log(level, "%s: %d threads instead of %d: %s", self._name, self.threads, before, reason)
        return True


def ladder(most: int) -> list[int]:
    """The numbers worth having, from `most` down to 1: one less, for one neighbour, then each about a third less."""
    steps = [most]
    while steps[-1] > 1:
        steps.append(steps[-1] - 1 if len(steps) == 1 else max(1, steps[-1] * 2 // 3))
    return steps
