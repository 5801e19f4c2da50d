"""Who computes when: one fair turnstile around every engine step and embedding batch of the process.

A chat engine, a GGUF embedder and torch on few cores are each other's busy neighbour: two thread teams that spin
against each other lose most of their speed. So they take turns, first come first served, a step or a batch at a time.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

OPENMP = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "5000"}
"""How long an idle OpenMP thread spins before it sleeps. Unlimited spinning cost two threads 3/4 of their speed beside
one busy process; none at all costs single-stream decoding two thirds; a short spin keeps both. The policy is there for
libgomp's other count: with more threads than CPUs in all teams it spins 100 rounds, with "active" 1000."""


class Turnstile:
    """A mutex that serves waiters strictly in order of arrival (`threading.Lock` promises no order)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: deque[threading.Lock] = deque()
        self._taken = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        self._acquire()
        try:
            yield
        finally:
            self._release()

    def _acquire(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiters.append(gate)
        gate.acquire()

    def _release(self) -> None:
        with self._lock:
            if self._waiters:
                self._waiters.popleft().release()
            else:
                self._taken = False


turnstile = Turnstile()


def limit_openmp_spin(environ: MutableMapping[str, str] = os.environ) -> None:
    """Bound OpenMP's busy-waiting: torch's, and that of a llama.cpp that was not compiled as the Makefile says. Call
    before either is imported; a setting of the user's own wins."""
    if not OPENMP.keys() & environ.keys():
        environ.update(OPENMP)
