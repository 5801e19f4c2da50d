"""The moment at which a request's host, or its caller, gives it up: a reply that comes later is paid for and lost."""

from __future__ import annotations

import time
from dataclasses import dataclass

MARGIN = 2.0
"""Seconds kept back to send what there is; of a short limit a tenth."""

MAX_SECONDS = 7 * 24 * 3600
"""The longest limit that a request may name, which is the longest of any host."""


@dataclass(frozen=True)
class Deadline:
    """`source` set `seconds`; they run out at `at`, in `time.monotonic`'s seconds."""

    at: float
    seconds: float
    source: str

    @classmethod
    def after(cls, seconds: float, source: str) -> Deadline:
        """Counted from now."""
        return cls(time.monotonic() + seconds, seconds, source)

    @property
    def margin(self) -> float:
        return min(MARGIN, self.seconds / 10)

    @property
    def left(self) -> float:
        """Seconds in which something can still be computed, the margin set aside; negative afterwards."""
        return self.at - self.margin - time.monotonic()

    def __str__(self) -> str:
        return f"{self.seconds:g} s ({self.source})"


def earliest(*deadlines: Deadline | None) -> Deadline | None:
    return min((deadline for deadline in deadlines if deadline), key=lambda deadline: deadline.at, default=None)
