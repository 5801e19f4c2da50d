"""Token bytes to text that is safe to send: no half character, no stop string, no part of one."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Protocol


class TextFilter(Protocol):
    """Changes a text that comes in pieces. What `feed` and the one last `flush` return is not taken back."""

    def feed(self, text: str) -> str: ...
    def flush(self) -> str: ...


class TextStream:
    """Feed it the bytes of one token after another; it returns the text that nothing to come can take back.

    The stop string that is complete first wins (of several that end together, the longest), so the result depends on
    the text alone and not on how it was cut into tokens. What stands before it goes through `text_filter`. The text
    ends once: with the stop string, which sets `stopped`, or with `flush`.
    """

    def __init__(self, stops: Iterable[str] = (), text_filter: TextFilter | None = None) -> None:
        self.stopped = False
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._filter = text_filter
        self._held = ""

    def feed(self, data: bytes) -> str:
        text = self._decoder.decode(data)
        if not self._stops:
            return self._filtered(text)
        self._held += text
        start = self._first_stop()
        if start is not None:
            self.stopped = True
            self._held = self._held[:start]
            return self.flush()
        return self._filtered(self._take(len(self._held) - self._num_partial()))

    def flush(self) -> str:
        """What was held back, once no more bytes come. Bytes of an unfinished character are dropped."""
        text = self._filtered(self._take(len(self._held)))
        return text + self._filter.flush() if self._filter else text

    def _filtered(self, text: str) -> str:
        return self._filter.feed(text) if self._filter else text

    def _take(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        return text

    def _first_stop(self) -> int | None:
        """Where the winning stop string begins in the held text."""
        matches = ((start + len(s), start) for s in self._stops if (start := self._held.find(s)) >= 0)
        return min(matches, default=(0, None))[1]

    def _num_partial(self) -> int:
        """Length of the longest tail that could still become a stop string."""
        for size in range(min(len(self._held), self._longest - 1), 0, -1):
            tail = self._held[-size:]
            if any(stop.startswith(tail) for stop in self._stops):
                return size
        return 0
