"""Calls that arrive together are computed together: many small embedding calls become few length-sorted batches.

One thread owns the model. While it computes, calls gather; nobody waits for company. Another thread ends the calls,
while the next batch computes: whoever gets a result wakes up and takes Python's lock, and a model that has to wait for
that lock stands still.

Invariant: every accepted call ends exactly once, with its results in its own order, with one error, or cancelled by its
caller.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from core.compute import turnstile
from core.errors import CoreError, DecodeFailed, QueueFull, ShuttingDown

logger = logging.getLogger("warmfn.coalesce")

Item = TypeVar("Item")
Result = TypeVar("Result")
Combined = TypeVar("Combined")

ROUND = 4
"""Batches' worth of inputs sorted together: more means less padding, and a longer wait for whoever comes just after."""


@dataclass(frozen=True)
class Limits:
    """What one batch holds: at most `max_rows` inputs that cost at most `max_cost` together; one input always fits."""

    max_cost: int
    max_rows: int
    cost: Callable[[Sequence[int]], int]
    """Of inputs with these lengths in one batch: their sum, or rows x longest where the model pads."""

    def batch_size(self, lengths: Sequence[int]) -> int:
        """How many of the leading inputs make one batch."""
        size = 1
        while size < min(len(lengths), self.max_rows) and self.cost(lengths[: size + 1]) <= self.max_cost:
            size += 1
        return size


class Coalescer(Generic[Item, Result]):
    """Feeds `compute(items) -> one result per item` from calls of any size. Methods may be called from any thread."""

    def __init__(
        self, compute: Callable[[list[Item]], Iterable[Result]], limits: Limits, *, max_queue: int, name: str
    ) -> None:
        """`max_queue`: the most inputs that may wait; a call that finds nobody waiting is let in whatever its size."""
        self._compute = compute
        self.limits = limits
        """May be replaced at any time; it counts from the next batch on."""
        self._max_queue = max_queue
        self._calls: deque[_Call] = deque()
        """Calls with inputs not yet taken into a round, in the order of their next turn."""
        self._taken: list[_Row] = []
        """The present round, shortest first: the inputs whose batches are not computed yet."""
        self._num_waiting = 0
        self._closed = False
        self._rests = False
        self._changed = threading.Condition()
        self._speed: float | None = None
        self._ends = ThreadPoolExecutor(1, thread_name_prefix=f"deliver-{name}")
        self._last_end: Future[None] = self._ends.submit(lambda: None)
        """They come in order: when this is done, all are."""
        self._thread = threading.Thread(target=self._run, name=f"coalesce-{name}", daemon=True)
        self._thread.start()

    def submit(
        self, items: Sequence[Item], lengths: Sequence[int], combine: Callable[[list[Result]], Combined]
    ) -> Future[Combined]:
        """A future of `combine(results in the order of items)`; cancel it when its caller goes away.

        Raises QueueFull with the time the waiting inputs should take, or ShuttingDown.
        """
        assert items, "a call without inputs would never end"
        assert len(items) == len(lengths)
        call = _Call(items, lengths, combine)
        with self._changed:
            if self._closed:
                raise _shutting_down()
            if self._num_waiting and self._num_waiting + len(items) > self._max_queue:
                raise self._queue_full(len(items))
            self._num_waiting += len(items)
            self._calls.append(call)
            self._changed.notify()
        return call.future

    @property
    def is_idle(self) -> bool:
        """Whether every accepted call has ended."""
        with self._changed:
            return self._rests and not self._calls and self._last_end.done()

    def close(self) -> None:
        """End the thread after the batch it is computing; calls that are not complete get ShuttingDown."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._ends.shutdown()

    def _run(self) -> None:
        while not self._closed:
            if self._taken:
                self._run_batch(self._next_batch())
            else:
                self._take_round()
        with self._changed:
            unfinished = {row.call for row in self._taken} | set(self._calls)
        self._end(lambda: _fail(unfinished, _shutting_down))

    def _take_round(self) -> None:
        """Wait for calls, then let them take turns of at most one batch each, so that a call of 2000 inputs never holds
        up a call of one for more than a round and a turn."""
        limits = self.limits
        with self._changed:
            self._rests = not self._calls
            self._changed.wait_for(lambda: self._calls or self._closed)
            self._rests = False
            cost = 0
            while self._calls and cost < ROUND * limits.max_cost and len(self._taken) < ROUND * limits.max_rows:
                call = self._calls.popleft()
                if call.ended:
                    self._num_waiting -= call.num_waiting
                    continue
                turn = call.take(limits)
                cost += sum(row.length for row in turn)
                self._num_waiting -= len(turn)
                self._taken += turn
                if call.num_waiting:
                    self._calls.append(call)
        self._taken.sort(key=lambda row: row.length)

    def _next_batch(self) -> list[_Row]:
        """The round's next batch, without the inputs of calls that were cancelled or failed meanwhile."""
        rows = [row for row in self._taken if not row.call.ended]
        size = self.limits.batch_size([row.length for row in rows]) if rows else 0
        self._taken = rows[size:]
        return rows[:size]

    def _run_batch(self, rows: list[_Row]) -> None:
        if not rows:
            return
        started = monotonic()
        try:
            with turnstile.turn():
                results = list(zip(rows, self._compute([row.item for row in rows]), strict=True))
        except Exception as error:  # a thread boundary: whatever failed must end every call that has an input in it
            logger.exception("a batch of %d inputs failed", len(rows))
            calls, cause = {row.call for row in rows}, error
            for call in calls:
                call.has_failed = True
            self._end(lambda: _fail(calls, lambda: _failure(cause)))
        else:
            self._measure(sum(row.length for row in rows), monotonic() - started)
            self._end(lambda: _deliver(results))

    def _end(self, calls: Callable[[], None]) -> None:
        """On the other thread."""
        self._last_end = self._ends.submit(calls)

    def _measure(self, tokens: int, seconds: float) -> None:
        """A moving average of tokens per second, turnstile included: what a waiting caller sees."""
        speed = tokens / max(seconds, 1e-6)
        self._speed = speed if self._speed is None else 0.8 * self._speed + 0.2 * speed

    def _queue_full(self, asked: int) -> QueueFull:
        waiting = sum(call.length_waiting for call in self._calls)
        return QueueFull(
            f"{self._num_waiting} inputs wait to be embedded and {asked} more would exceed the queue of "
            f"{self._max_queue}: try again later, or send fewer inputs at once",
            retry_after=waiting / self._speed if self._speed else 1.0,
        )


@dataclass(frozen=True)
class _Row:
    call: _Call
    index: int

    @property
    def item(self) -> Any:
        return self.call.items[self.index]

    @property
    def length(self) -> int:
        return self.call.lengths[self.index]


class _Call:
    """One submitted call and the results it has so far. Only the delivering thread ends it."""

    def __init__(self, items: Sequence[Any], lengths: Sequence[int], combine: Callable[[list[Any]], Any]) -> None:
        self.future: Future[Any] = Future()
        self.items = items
        self.lengths = lengths
        self._combine = combine
        self._results: list[Any] = [None] * len(items)
        self._num_taken = 0
        self._num_missing = len(items)
        self.has_failed = False
        """Nothing more of it is computed, though its caller may not know yet."""

    @property
    def ended(self) -> bool:
        return self.has_failed or self.future.done()

    @property
    def num_waiting(self) -> int:
        return len(self.items) - self._num_taken

    @property
    def length_waiting(self) -> int:
        return sum(self.lengths[self._num_taken :])

    def take(self, limits: Limits) -> list[_Row]:
        start = self._num_taken
        window = self.lengths[start : start + limits.max_rows]
        self._num_taken += limits.batch_size(window)
        return [_Row(self, index) for index in range(start, self._num_taken)]

    def put(self, index: int, result: Any) -> None:
        self._results[index] = result
        self._num_missing -= 1
        if not self._num_missing and self._claim():
            try:
                self.future.set_result(self._combine(self._results))
            except Exception as error:  # a thread boundary
                self.future.set_exception(_failure(error))

    def fail(self, error: CoreError) -> None:
        if self._claim():
            self.future.set_exception(error)

    def _claim(self) -> bool:
        """Whether the call is still to be ended; from then on its caller can no longer cancel it."""
        return not self.future.done() and self.future.set_running_or_notify_cancel()


def _deliver(results: Iterable[tuple[_Row, Any]]) -> None:
    for row, result in results:
        row.call.put(row.index, result)


def _fail(calls: Iterable[_Call], error: Callable[[], CoreError]) -> None:
    """Each with an error of its own: a shared one would collect every caller's traceback."""
    for call in calls:
        call.fail(error())


def _failure(error: Exception) -> DecodeFailed:
    failure = DecodeFailed(f"the batch with this input failed: {error}")
    failure.__cause__ = error
    return failure


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the server is shutting down: send the request again")
