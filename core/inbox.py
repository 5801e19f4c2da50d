"""Hands items from an engine's thread to one consumer, who may be a thread or a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """`put` never blocks and never raises, whatever became of the consumer. Iteration ends when the consumer stops it.

    One callback serves both kinds of consumer, so nothing behind it exists in a sync and an async version.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._wake: Callable[[], None] = lambda: None

    def put(self, item: T) -> None:
        self._items.append(item)
        self._wake()

    def __iter__(self) -> Iterator[T]:
        arrived = threading.Event()
        self._wake = arrived.set
        while True:
            while self._items:
                yield self._items.popleft()
            arrived.wait()
            arrived.clear()

    async def __aiter__(self) -> AsyncIterator[T]:
        arrived = asyncio.Event()
        self._wake = _waker(asyncio.get_running_loop(), arrived)
        while True:
            while self._items:
                yield self._items.popleft()
            await arrived.wait()
            arrived.clear()


def _waker(loop: asyncio.AbstractEventLoop, arrived: asyncio.Event) -> Callable[[], None]:
    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody listens any more
            loop.call_soon_threadsafe(arrived.set)

    return wake
