"""Hands items from an engine's thread to one consumer, who may be a thread or a coroutine.

Waking another thread for every token costs more than the token: the consumer takes a core from the compute threads each
time. So it rests between two batches of items, and only an urgent item wakes it from that.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """`put` never blocks and never raises, whatever became of the consumer.

    Iteration gives lists of what has come, the first item at once and then at most one list in `rest` seconds; None
    waits for urgent items alone. It ends when the consumer stops it. One callback serves both kinds of consumer, so
    nothing behind it exists in a sync and an async version.
    """

    def __init__(self, *, rest: float | None) -> None:
        self._rest = rest
        self._items: deque[T] = deque()
        self._is_resting = rest is None
        self._wake: Callable[[], None] = lambda: None

    def put(self, item: T, *, urgent: bool) -> None:
        self._items.append(item)
        if urgent or not self._is_resting:
            self._wake()

    def __iter__(self) -> Iterator[list[T]]:
        arrived = threading.Event()
        self._wake = arrived.set
        while True:
            if self._items:
                yield self._take()
                arrived.wait(self._rest)
                self._is_resting = self._rest is None
            else:
                arrived.wait()
            arrived.clear()

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        self._wake = _waker(loop, arrived)
        while True:
            if self._items:
                yield self._take()
                if self._rest is not None:
                    # All streams rest until the same tick, so that one turn of the loop serves them all.
                    loop.call_later(self._rest - loop.time() % self._rest, arrived.set)
                await arrived.wait()
                self._is_resting = self._rest is None
            else:
                await arrived.wait()
            arrived.clear()

    def _take(self) -> list[T]:
        self._is_resting = True
        return [self._items.popleft() for _ in range(len(self._items))]


def _waker(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> Callable[[], None]:
    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody listens any more
            loop.call_soon_threadsafe(arrived.set)

    return wake
