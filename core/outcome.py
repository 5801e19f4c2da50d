"""How a request ended, told once: when its last object was taken, when it failed, or when it was given up."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from core.errors import CoreError
from core.reply import Reply
from core.schema.replies import Object

COMPLETE, GIVEN_UP, FAULT = 200, 499, 500
"""Statuses; 499 is nginx's for a client that went away."""


class ToldReply(Reply):
    """`reply`, and `tell(status)` when it has ended. `phrase` makes an error's message fit to be read by a client."""

    def __init__(self, reply: Reply, tell: Callable[[int], None], phrase: Callable[[str], str]) -> None:
        self.stream = reply.stream
        self.warnings = reply.warnings
        self._reply = reply
        self._tell = tell
        self._phrase = phrase
        self._untold = threading.Lock()
        """Taken by whoever tells, and never given back."""

    def __iter__(self) -> Iterator[Object]:
        with self._watched():
            yield from self._reply

    async def __aiter__(self) -> AsyncIterator[Object]:
        with self._watched():
            async for part in self._reply:
                yield part

    def close(self) -> None:
        self._reply.close()
        self._end(GIVEN_UP)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except CoreError as error:
            error.message = self._phrase(error.message)
            self._end(error.status)
            raise
        except Exception:
            self._end(FAULT)
            raise
        except BaseException:  # its consumer was cancelled, or stopped early
            self._end(GIVEN_UP)
            raise
        self._end(COMPLETE)

    def _end(self, status: int) -> None:
        if self._untold.acquire(blocking=False):
            self._tell(status)
