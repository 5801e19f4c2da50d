"""The stretch of a stage over which rates are counted.

Steady: from the N-th completion to the last arrival. Before it the load is still building up, after it the drain asks
less and less; both are completed and excluded. N is how many are at work: the clients of a closed loop; the requests
that arrive at an open one while its first ones are answered (Little's law, before any queue).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.record import RequestRecord
from bench.stages import AnyStage, Closed

FIRST = 10
"""Requests that find a server without a queue."""


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, perf_counter_ns."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9

    def holds(self, moment: int | None) -> bool:
        return moment is not None and self.start < moment <= self.end

    def arrivals(self, records: Iterable[RequestRecord]) -> int:
        return sum(self.holds(record.t_sched) for record in records)

    def completions(self, records: Iterable[RequestRecord]) -> int:
        """Of requests that ended well."""
        return sum(self.holds(record.t_end) for record in records if record.ok)

    def tokens(self, records: Iterable[RequestRecord]) -> float:
        """Produced within it, by requests that ended well. A chunk of unknown size is an equal share of its answer."""
        return sum(self._tokens(record) for record in records if record.ok)

    def _tokens(self, record: RequestRecord) -> float:
        if not record.chunks:
            return (record.osl or 0) if self.holds(record.t_end) else 0
        sent, share = record.t_send or record.t_sched, (record.osl or 0) / len(record.chunks)
        return sum(share if size is None else size for after, size in record.chunks if self.holds(sent + after))


def steady_window(records: Sequence[RequestRecord], stage: AnyStage) -> Window | None:
    """None if less than N more requests are completed before the last arrival: too short a stage to have one."""
    ends = sorted(record.t_end for record in records if record.ok and record.t_end is not None)
    first = stage.concurrency if isinstance(stage, Closed) else _at_work(records)
    if len(ends) < first or not ends:
        return None
    window = Window(ends[first - 1], max(record.t_sched for record in records))
    return window if window.completions(records) >= first else None


def _at_work(records: Sequence[RequestRecord]) -> int:
    """The arrivals within the time (median) that the first requests took."""
    times = [record.e2e_ms for record in records[:FIRST] if record.ok and record.e2e_ms is not None]
    began = min(record.t_sched for record in records)
    return sum(record.t_sched - began <= median(times) * 1e6 for record in records) if times else 1


def whole_window(records: Sequence[RequestRecord]) -> Window | None:
    """From the first request due to the last one that ended well, drain included. None if none did."""
    ends = [record.t_end for record in records if record.ok and record.t_end is not None]
    return Window(min(record.t_sched for record in records) - 1, max(ends)) if ends else None


def most_in_flight(records: Iterable[RequestRecord]) -> int:
    """The most requests that were sent and not yet ended at one time."""
    changes = [(record.t_send, 1) for record in records if record.t_send is not None]
    changes += [(record.t_end, -1) for record in records if record.t_send is not None and record.t_end is not None]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most
