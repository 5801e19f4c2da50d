"""What this host's memory and arithmetic give at most, measured now: a data sheet knows no neighbours.

Both through numpy, which leaves the GIL: reading is a sum over more memory than any cache holds, computing is a product
of float32 matrices (BLAS's sgemm). Quantised kernels do other arithmetic than sgemm, and with integer matrix units
(AMX, VNNI) more of it: an MFU above 1 is possible there and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from pydantic import BaseModel

MEGABYTES = 512
"""In all threads together; several times the last-level cache of most CPUs."""
SIDE = 1536
ROUNDS = 5


class Peaks(BaseModel, frozen=True):
    """Bytes and float32 operations per second, the best of some rounds."""

    read_bytes_s: float
    flops_s: float
    threads: int


def measure_peaks(threads: int) -> Peaks:
    """Takes about two seconds."""
    return Peaks(read_bytes_s=_read_bytes_s(threads), flops_s=_flops_s(), threads=threads)


def _read_bytes_s(threads: int) -> float:
    part = np.ones((MEGABYTES << 20) // 4 // threads, np.float32)
    parts = [part, *(part.copy() for _ in range(threads - 1))]
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(np.sum, parts)))
    return threads * part.nbytes / seconds


def _flops_s() -> float:
    """2 n^3 operations for a product of two n x n matrices, in as many threads as BLAS takes."""
    matrix = np.ones((SIDE, SIDE), np.float32)
    return float(2 * SIDE**3 / _best(lambda: matrix @ matrix))


def _best(work: Callable[[], object]) -> float:
    """The shortest of some runs in seconds: whatever disturbs only ever adds."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
