"""A request under way, as its caller sees it: objects to iterate over, in a thread or in a coroutine, and `close`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from core.coldstart import Phases, in_milliseconds
from core.engine.deadline import Deadline
from core.engine.sequence import Sequence, Update
from core.errors import DeadlineExceeded
from core.inbox import Inbox
from core.schema.replies import Heading, Object, chat_choice, chat_delta, text_choice, timings, usage

T = TypeVar("T")


class Reply(ABC):
    """Iterate once. A `stream` gives chunk after chunk, otherwise there is exactly one object, the body.

    Iteration raises CoreError if the request fails after it was accepted. `close` gives up what is not done yet and may
    be called at any time, again too; a caller that stops iterating early must call it.
    """

    stream: bool
    warnings: list[str]

    @abstractmethod
    def __iter__(self) -> Iterator[Object]: ...

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Object]: ...

    @abstractmethod
    def close(self) -> None: ...


class FutureReply(Reply, Generic[T]):
    """One body, built from a result that some worker computes; DeadlineExceeded if that is late."""

    stream = False

    def __init__(
        self,
        future: Future[T],
        body: Callable[[T], Object],
        warnings: list[str],
        deadline: Deadline | None = None,
    ) -> None:
        self.warnings = warnings
        self._future = future
        self._body = body
        self._deadline = deadline

    def __iter__(self) -> Iterator[Object]:
        with self._in_time():
            result = self._future.result(self._patience)
        yield self._complete(result)

    async def __aiter__(self) -> AsyncIterator[Object]:
        with self._in_time():
            result = await asyncio.wait_for(asyncio.wrap_future(self._future), self._patience)
        yield self._complete(result)

    def close(self) -> None:
        self._future.cancel()

    @property
    def _patience(self) -> float | None:
        return max(self._deadline.left, 0) if self._deadline else None

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise DeadlineExceeded(f"the result was not there within {self._deadline}") from None

    def _complete(self, result: T) -> Object:
        return self._body(result) | _notices(self.warnings)


def merged(items: list[tuple[int, Update]]) -> Iterator[tuple[int, Update]]:
    """One update for each sequence that has news; an error stays apart from the text before it."""
    news: dict[tuple[int, bool], Update] = {}
    for index, update in items:
        key = (index, update.error is not None)
        earlier = news.get(key)
        news[key] = replace(update, text=earlier.text + update.text) if earlier else update
    return ((index, update) for (index, _), update in news.items())


class Form(Protocol):
    """How updates become OpenAI objects."""

    def opening(self) -> list[Object]: ...
    def part(self, index: int, update: Update) -> list[Object]: ...
    def closing(self, seqs: list[Sequence], notices: Object) -> list[Object]: ...


class TextReply(Reply):
    """One or several sequences that make up one reply; `on_end(seq)` is called once for each.

    `cold_start()` gives the ledger of the model's load to the first reply, which completes and tells it.
    """

    def __init__(
        self,
        form: Form,
        seqs: list[Sequence],
        inbox: Inbox[tuple[int, Update]],
        *,
        stream: bool,
        warnings: list[str],
        cancel: Callable[[Sequence], None],
        on_end: Callable[[Sequence], None],
        cold_start: Callable[[], Phases | None] = lambda: None,
    ) -> None:
        self.stream = stream
        self.warnings = warnings
        self._form = form
        self._seqs = seqs
        self._inbox = inbox
        self._cancel = cancel
        self._on_end = on_end
        self._cold_start = cold_start
        self._open = dict(enumerate(seqs))

    def __iter__(self) -> Iterator[Object]:
        yield from self._form.opening()
        for items in self._inbox:
            yield from self._take(items)
            if not self._open:
                break
        yield from self._closing()

    async def __aiter__(self) -> AsyncIterator[Object]:
        for opening in self._form.opening():
            yield opening
        async for items in self._inbox:
            for part in self._take(items):
                yield part
            if not self._open:
                break
        for closing in self._closing():
            yield closing

    def close(self) -> None:
        for index, seq in list(self._open.items()):
            self._cancel(seq)
            self._end(index)

    def _take(self, items: list[tuple[int, Update]]) -> Iterator[Object]:
        for index, update in merged(items):
            if update.is_last:
                self._end(index)
            if update.error:
                self.close()
                raise update.error
            yield from self._form.part(index, update)

    def _closing(self) -> list[Object]:
        self.warnings += [_cut_at_deadline(seq) for seq in self._seqs if seq.was_cut]
        facts = {"timings": self._timings(self._seqs[0])} if len(self._seqs) == 1 else {}
        return self._form.closing(self._seqs, facts | _notices(self.warnings))

    def _timings(self, seq: Sequence) -> Object:
        load = self._cold_start()
        if load is None:
            return timings(seq)
        if seq.first_token_at:
            load["first_token"] = seq.first_token_at - seq.submitted_at
        return timings(seq) | {"cold_start": in_milliseconds(load)}

    def _end(self, index: int) -> None:
        self._on_end(self._open.pop(index))


class Whole:
    """All of it in one object."""

    def __init__(self, heading: Heading, count: int) -> None:
        self._heading = heading
        self._texts: list[list[str]] = [[] for _ in range(count)]

    def opening(self) -> list[Object]:
        return []

    def part(self, index: int, update: Update) -> list[Object]:
        self._texts[index].append(update.text)
        return []

    def closing(self, seqs: list[Sequence], notices: Object) -> list[Object]:
        texts = ["".join(parts) for parts in self._texts]
        if self._heading.kind == "chat.completion":
            choices = [chat_choice(texts[0], seqs[0].finish_reason)]
        else:
            choices = [text_choice(i, texts[i], seq.finish_reason) for i, seq in enumerate(seqs)]
        return [self._heading.full(choices) | {"usage": usage(seqs)} | notices]


class Chunks:
    """Part by part; the last chunk carries usage if it was asked for, and what else there is to say."""

    def __init__(self, heading: Heading, *, include_usage: bool) -> None:
        self._heading = heading
        self._is_chat = heading.kind == "chat.completion"
        self._include_usage = include_usage
        self._last: list[Object] = []

    def opening(self) -> list[Object]:
        return self._chunks([chat_delta({"role": "assistant", "content": ""})] if self._is_chat else [])

    def part(self, index: int, update: Update) -> list[Object]:
        if not self._is_chat:
            choices = [text_choice(index, update.text, update.finish_reason)]
        else:
            choices = [chat_delta({"content": update.text})] if update.text else []
            choices += [chat_delta({}, update.finish_reason)] if update.is_last else []
        *now, last = self._chunks(choices)
        if not update.is_last:
            return [*now, last]
        held, self._last = self._last, [last]
        return [*held, *now]

    def closing(self, seqs: list[Sequence], notices: Object) -> list[Object]:
        [last] = self._last
        if not self._include_usage:
            return [last | notices]
        return [last | {"usage": None}, self._heading.chunk([]) | {"usage": usage(seqs)} | notices]

    def _chunks(self, choices: Iterable[Object]) -> list[Object]:
        extra: Object = {"usage": None} if self._include_usage else {}
        return [self._heading.chunk([choice]) | extra for choice in choices]


def _cut_at_deadline(seq: Sequence) -> str:
    assert seq.deadline
    return (
        f"the reply ends after {seq.num_generated} of at most {seq.max_tokens} tokens, because the time limit of "
        f"{seq.deadline} was near: allow more time, or ask for fewer tokens"
    )


def _notices(warnings: list[str]) -> Object:
    return {"warnings": warnings} if warnings else {}
