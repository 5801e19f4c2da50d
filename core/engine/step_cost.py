"""How long a decode call takes by its rows, measured on this host before the first request.

On a CPU a second row may cost half a step and eight more little; on a GPU sixteen cost next to nothing.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Mapping
from collections.abc import Sequence as List

from core.engine.batch import Batch, Chunk
from core.engine.decoder import Decoder
from core.engine.sequence import Sampling, Sequence

ROWS = (1, 5, 9, 17, 3, 2)
"""What is measured, the most telling first."""

BUDGET = 0.3
"""Seconds for it. A large model on a small host gets as far as 5 rows, a small one is measured several times."""


class StepCost:
    """Seconds by rows of a decode call, linear between those that were measured and beyond the last two.

    With a cache for each sequence (not `unified`) llama.cpp computes in one pass only sequences with equally many rows:
    first what all have in common, then the rest of those that have more.
    """

    def __init__(self, seconds: Mapping[int, float], *, unified: bool) -> None:
        """`seconds` of at least two numbers of rows, 1 among them."""
        self.measured = tuple(sorted(seconds))
        self._seconds = [seconds[rows] for rows in self.measured]
        self._unified = unified

    def seconds(self, sizes: List[int]) -> float:
        """Of a step in which these sequences have so many rows each."""
        if self._unified:
            return self._of_pass(sum(sizes))
        total, done = 0.0, 0
        for index, size in enumerate(sorted(sizes)):
            if size > done:
                total += self._of_pass((len(sizes) - index) * (size - done))
                done = size
        return total

    def _of_pass(self, rows: int) -> float:
        upper = min(max(bisect_left(self.measured, rows), 1), len(self.measured) - 1)
        (x, y), (a, b) = self.measured[upper - 1 : upper + 1], self._seconds[upper - 1 : upper + 1]
        return a + (b - a) * (rows - x) / (y - x)

    def __str__(self) -> str:
        return ", ".join(f"{rows}: {1e3 * each:.1f}" for rows, each in zip(self.measured, self._seconds, strict=True))


def measure_step_cost(decoder: Decoder, *, max_rows: int, unified: bool) -> StepCost:
    """Decode drafts of several lengths on the empty sequence 0, which is empty afterwards. Raises DecodeFailed.

    What disturbs a step makes it longer, never shorter: so the least of several times counts, and of as many rows or
    more, since those contain the work of fewer.
    """
    probe = Sequence([0], max_rows, lambda update: None, Sampling(temperature=0))
    probe.slot_id = 0
    seconds: dict[int, float] = {}
    decoder.open(probe)
    try:
        _time(decoder, probe, 1)  # the first pass reads the weights from disk
        deadline = time.perf_counter() + BUDGET
        while time.perf_counter() < deadline:
            for rows in (rows for rows in ROWS if rows <= max_rows):
                seconds[rows] = min(_time(decoder, probe, rows), seconds.get(rows, math.inf))
                if len(seconds) > 1 and time.perf_counter() > deadline:
                    break
    finally:
        decoder.close(probe)
    return StepCost(_undisturbed(seconds), unified=unified)


def _undisturbed(seconds: Mapping[int, float]) -> dict[int, float]:
    return {rows: min(each for other, each in seconds.items() if other >= rows) for rows in seconds}


def _time(decoder: Decoder, probe: Sequence, rows: int) -> float:
    started = time.perf_counter()
    decoder.decode(Batch((Chunk(probe, 0, 1, wants_token=True, draft=(0,) * (rows - 1)),)))
    elapsed = time.perf_counter() - started
    decoder.keep(0, 0)
    return elapsed
