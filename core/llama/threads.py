"""How many threads compute, as the machine allows from moment to moment.

ggml's threads meet at a barrier after every operation, and the others spin until the last one comes. While a neighbour
holds one core, all of them are as slow as the one that shares it: fewer threads are then faster. Nobody tells a process
in a container what its neighbours do, so the governor tries: now and then it computes a few steps with another number
of threads, and stays with it if they were clearly faster.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from statistics import median

logger = logging.getLogger("warmfn.threads")

WINDOW = 5
"""Steps whose median stands for now; one step alone may meet any accident."""

CLEARLY = 0.9
"""The share of the present step time below which another number of threads is better: a hysteresis."""

HOPELESS = 1.5
"""A first trial step that takes this many times the present one ends the trial."""

SLOWED = 1.4
"""Steps that take this many times the usual mean that something has changed."""

SOONEST, LATEST = 0.5, 30.0
"""Seconds of computing between two trials. The wait doubles with each that found nothing better."""

USUAL_MEMORY = 0.98
"""What one step leaves of the usual step time before it: it follows a growing context, not a sudden neighbour."""


GOVERNED_ROWS = 32
"""Rows of a step that is still governed. Prompts are not: their operations are long, their barriers few, and no two of
their steps alike."""


STEPS = ("single", "batched")
"""Of one row, and of more."""


class Threads:
    """The thread counts of one context, for steps of one row and of more, which llama.cpp counts apart. With
    `governed` False they stay as they are: where a GPU computes, the CPU's threads have little to do.

    `on_change` is told which of STEPS have another number of threads from now on.
    """

    def __init__(self, single: int, batched: int, *, governed: bool, name: str) -> None:
        self.on_change: Callable[[str], None] = lambda steps: None
        self._most = (single, batched)
        self._governors = (ThreadGovernor(single, name), ThreadGovernor(batched, name)) if governed else None

    def settled(self, steps: str) -> int:
        """The number that one of STEPS have at present, short trials of others aside. Any thread may ask."""
        index = STEPS.index(steps)
        return self._governors[index].settled if self._governors else self._most[index]

    def of(self, rows: int) -> int:
        """For the next step."""
        governor = self._governor(rows)
        return governor.threads if governor else self._most[rows > 1]

    def observe(self, rows: int, seconds: float) -> None:
        if governor := self._governor(rows):
            before = governor.settled
            governor.observe(rows, seconds)
            if governor.settled != before:
                self.on_change(STEPS[rows > 1])

    def _governor(self, rows: int) -> ThreadGovernor | None:
        return self._governors[rows > 1] if self._governors and rows <= GOVERNED_ROWS else None


class ThreadGovernor:
    """`threads` is what the next step should use, at most `most`; `settled` is the same without trials. Only one thread
    at a time may call it."""

    def __init__(self, most: int, name: str = "") -> None:
        self.threads = most
        self._name = name
        self._ladder = ladder(most)
        self.settled = most
        self._rows = 0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._usual = math.inf
        self._trial: list[float] = []
        self._in_vain = 0
        self._computed = 0.0

    def observe(self, rows: int, seconds: float) -> None:
        """A step of `rows` rows took `seconds` with `threads` threads."""
        if rows != self._rows:
            self._start_over(rows)
        elif self.threads != self.settled:
            self._observe_trial(seconds)
        else:
            self._observe_settled(seconds)

    def _start_over(self, rows: int) -> None:
        """Steps of another size do not compare with those before. The step itself may have been the change's victim."""
        self._rows, self.threads = rows, self.settled
        self._recent.clear()
        self._trial.clear()
        self._usual = math.inf

    def _observe_settled(self, seconds: float) -> None:
        self._recent.append(seconds)
        self._computed += seconds
        if len(self._recent) < WINDOW:
            return
        now = median(self._recent)
        self._usual = now if self._usual == math.inf else USUAL_MEMORY * self._usual + (1 - USUAL_MEMORY) * now
        patience = SOONEST if now > SLOWED * self._usual else min(SOONEST * 2.0 ** min(self._in_vain, 10), LATEST)
        if self._computed >= patience:
            self._begin_trial()

    def _begin_trial(self) -> None:
        """The nearest other number first; each trial in vain looks further."""
        self._computed = 0.0
        place = self._ladder.index(self.settled)
        others = sorted(set(range(len(self._ladder))) - {place}, key=lambda other: abs(other - place))
        if others:
            self.threads = self._ladder[others[self._in_vain % len(others)]]

    def _observe_trial(self, seconds: float) -> None:
        self._trial.append(seconds)
        now = median(self._recent)
        if len(self._trial) < WINDOW and min(self._trial) < HOPELESS * now:
            return
        tried = median(self._trial)
        if len(self._trial) == WINDOW and tried < CLEARLY * now:
            self._settle(now, tried)
        else:
            self._in_vain += 1
        self.threads = self.settled
        self._trial.clear()

    def _settle(self, before: float, after: float) -> None:
        logger.info(
            "%s: %d threads instead of %d: a step of %d rows takes %.1f ms instead of %.1f",
            *(self._name, self.threads, self.settled, self._rows, 1e3 * after, 1e3 * before),
        )
        self.settled = self.threads
        self._recent.clear()
        self._usual = math.inf
        self._in_vain = 0


def ladder(most: int) -> list[int]:
    """The numbers worth trying, from `most` down to 1: one less, for one neighbour, then each about a third less."""
    steps = [most]
    while steps[-1] > 1:
        steps.append(steps[-1] - 1 if len(steps) == 1 else max(1, steps[-1] * 2 // 3))
    return steps
