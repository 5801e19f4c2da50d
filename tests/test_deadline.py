"""A reply ends before its host or its caller gives it up, and what cannot begin in time is told so."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any

import pytest

from core.engine.deadline import MARGIN, Deadline, earliest
from core.engine.engine import Engine
from core.errors import DeadlineExceeded
from core.reply import FutureReply
from tests.fakes import FakeDecoder, completion, make_scheduler, sequence, text_of

PAST = Deadline(at=0.0, seconds=30, source="X-Request-Timeout")


def make(decoder: FakeDecoder) -> Engine:
    return Engine(decoder, make_scheduler(decoder, num_slots=1))


def test_a_margin_is_kept_of_every_limit_and_the_earliest_limit_counts() -> None:
    long, short = Deadline.after(300, "host"), Deadline.after(5, "header")
    assert (long.margin, short.margin) == (MARGIN, 0.5)
    assert 297 < long.left <= 298
    assert earliest(long, None, short) is short
    assert earliest(None) is None


def test_a_stream_ends_at_its_deadline_with_what_it_has_and_frees_its_seat() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    seq, listener = sequence(range(5), 50)
    seq.deadline = Deadline.after(100, "X-Request-Timeout")
    late, waiting = sequence(range(20, 25), 2)
    for one in (seq, late):
        engine.submit(one)
    for _ in range(3):
        engine.step()
    seq.deadline = PAST
    engine.step()
    assert listener.last.finish_reason == "length"
    assert listener.text == text_of(completion(range(5), 3))
    assert seq.was_cut
    assert seq not in decoder.opened
    engine.step()
    assert waiting.last.finish_reason == "length"


def test_a_stream_ends_one_step_early_where_steps_are_long() -> None:
    seq, _ = sequence(range(5), 50)
    seq.append(7, b"7 ")
    seq.deadline = Deadline.after(10, "host")
    assert not seq.is_overdue(step_seconds=8)
    assert seq.is_overdue(step_seconds=9.5)


def test_a_stream_ends_before_a_long_step_for_somebody_elses_prompt() -> None:
    decoder = FakeDecoder()
    scheduler = make_scheduler(decoder, num_slots=2)
    engine = Engine(decoder, scheduler, estimate=lambda batch: 8.0 if batch.num_tokens > 4 else 0.1)
    seq, listener = sequence([1], 50)
    engine.submit(seq)
    engine.step()
    seq.deadline = Deadline.after(5, "host")
    engine.submit(sequence(range(20, 40), 2)[0])
    engine.step()
    assert listener.last.finish_reason == "length"
    assert seq.num_generated == 1


@pytest.mark.parametrize("reached", ["waiting", "computing"])
def test_what_has_no_token_at_its_deadline_ends_with_an_error_that_says_how_far_it_came(reached: str) -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    if reached == "waiting":
        engine.submit(sequence(range(3), 50)[0])
    seq, listener = sequence(range(100, 140), 4)
    engine.submit(seq)
    engine.step()
    seq.deadline = PAST
    engine.step()
    error = listener.last.error
    assert isinstance(error, DeadlineExceeded)
    assert "within 30 s (X-Request-Timeout)" in error.message
    assert ("still waiting" if reached == "waiting" else "16 of 40 prompt tokens") in error.message
    assert not seq.was_cut
    assert seq not in decoder.opened
    assert engine.num_waiting == 0


def test_what_the_cache_holds_or_will_hold_is_not_counted_as_work_ahead() -> None:
    engine = make(FakeDecoder())
    done, _ = sequence(range(30), 1)
    engine.submit(done)
    for _ in range(2):
        engine.step()
    assert engine.prompt_tokens_ahead([*range(30), 99]) == (0, 1)
    engine.submit(sequence(range(100, 140), 4)[0])
    engine.step()
    engine.submit(sequence([*range(100, 140), 7], 4)[0])
    assert engine.prompt_tokens_ahead(list(range(200, 210))) == (40 - 16 + 1, 10)


def embedding(deadline: Deadline) -> tuple[Future[Any], FutureReply[Any]]:
    future: Future[Any] = Future()
    return future, FutureReply(future, lambda result: result, [], deadline)


def test_a_result_that_is_late_is_an_error_for_threads_and_coroutines() -> None:
    async def wait(reply: FutureReply[Any]) -> None:
        [_] = [body async for body in reply]

    deadline = Deadline(time.monotonic(), 1, "host")
    with pytest.raises(DeadlineExceeded, match=r"1 s \(host\)"):
        list(embedding(deadline)[1])
    future, reply = embedding(deadline)
    with pytest.raises(DeadlineExceeded):
        asyncio.run(wait(reply))
    assert future.cancelled()
