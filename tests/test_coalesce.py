from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from core.coalesce import ROUND, Coalescer, Limits
from core.compute import Turnstile
from core.errors import DecodeFailed, QueueFull, ShuttingDown

Vector = tuple[int, str]


def padded(lengths: Sequence[int]) -> int:
    return len(lengths) * max(lengths)


def vector(text: str) -> Vector:
    """What the fake model makes of a text: a result in the wrong place shows."""
    return len(text), text[0]


class Machine:
    """A fake model that notes its batches, fails on the text "poison" and stops at the text "!" until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.stopped = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, texts: list[str]) -> list[Vector]:
        self.batches.append(texts)
        if "!" in texts:
            self.stopped.set()
            self.may_go_on.wait()
        if "poison" in texts:
            raise ValueError("a bad text")
        return [vector(text) for text in texts]


class Desk:
    """A coalescer on a `Machine`, with texts as items."""

    def __init__(self, *, max_cost: int = 100, max_rows: int = 8, max_queue: int = 10_000) -> None:
        self.machine = Machine()
        limits = Limits(max_cost, max_rows, padded)
        self.coalescer = Coalescer[str, Vector](self.machine, limits, max_queue=max_queue, name="test")

    def submit(self, *texts: str) -> Future[list[Vector]]:
        return self.coalescer.submit(texts, [len(text) for text in texts], list)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Calls made inside gather, since the machine computes something else until the end."""
        self.submit("!")
        self.machine.stopped.wait()
        try:
            yield
        finally:
            self.machine.batches.clear()
            self.machine.may_go_on.set()


@contextmanager
def desk(**limits: int) -> Iterator[Desk]:
    opened = Desk(**limits)
    try:
        yield opened
    finally:
        opened.machine.may_go_on.set()
        opened.coalescer.close()


def test_each_call_gets_its_own_results_in_its_own_order() -> None:
    rng = random.Random(1)
    calls = [
        [chr(97 + rng.randrange(26)) * rng.randrange(1, 60) for _ in range(rng.randrange(1, 40))] for _ in "x" * 50
    ]
    with desk() as open_desk:
        futures = [open_desk.submit(*call) for call in calls]
        assert [future.result() for future in futures] == [[vector(text) for text in call] for call in calls]


def test_calls_that_arrive_while_a_batch_computes_share_the_next_one() -> None:
    with desk() as open_desk:
        with open_desk.busy():
            futures = [open_desk.submit(text) for text in "abcdefgh"]
        assert [future.result() for future in futures] == [[vector(text)] for text in "abcdefgh"]
        assert open_desk.machine.batches == [list("abcdefgh")]


def test_one_call_of_many_inputs_and_many_calls_of_one_make_the_same_batches() -> None:
    texts = ["x" * (1 + i * 7 % 30) for i in range(20)]
    batches = []
    for calls in ([texts], [[text] for text in texts]):
        with desk() as open_desk:
            with open_desk.busy():
                futures = [open_desk.submit(*call) for call in calls]
            for future in futures:
                future.result()
            batches.append(open_desk.machine.batches)
    assert batches[0] == batches[1]


def test_batches_are_sorted_by_length_and_stay_within_cost_and_rows() -> None:
    with desk(max_cost=60, max_rows=6) as open_desk:
        open_desk.submit(*("x" * (1 + i * 11 % 50) for i in range(80))).result()
        for batch in open_desk.machine.batches:
            lengths = [len(text) for text in batch]
            assert lengths == sorted(lengths)
            assert len(batch) <= 6
            assert padded(lengths) <= 60 or len(batch) == 1


def test_results_are_handed_out_while_the_next_batch_computes() -> None:
    with desk(max_rows=1) as open_desk:
        computing = open_desk.machine.stopped
        first = open_desk.coalescer.submit(["a"], [1], lambda _: computing.wait(timeout=30))
        open_desk.submit("!")
        assert first.result()


def test_results_that_cannot_be_combined_fail_their_call_only() -> None:
    with desk() as open_desk:
        with open_desk.busy():
            wrong = open_desk.coalescer.submit(["a"], [1], lambda results: 1 // (len(results) - 1))
            right = open_desk.submit("b")
        with pytest.raises(DecodeFailed, match="division"):
            wrong.result()
        assert right.result() == [(1, "b")]


def test_an_input_dearer_than_a_batch_is_computed_alone() -> None:
    with desk(max_cost=10) as open_desk:
        assert open_desk.submit("a" * 99, "b").result() == [(99, "a"), (1, "b")]


@pytest.mark.parametrize("num_large", [1, 5])
def test_large_calls_hold_up_a_small_one_for_a_bounded_number_of_batches(num_large: int) -> None:
    with desk() as open_desk:
        with open_desk.busy():
            large = [open_desk.submit(*["x" * 10] * 500) for _ in range(num_large)]
            small = open_desk.submit("s")
        small.result()
        for future in large:
            future.result()
        place = next(i for i, batch in enumerate(open_desk.machine.batches) if "s" in batch)
        assert place <= num_large + ROUND
        assert len(open_desk.machine.batches) > 10 * place


def test_a_failing_batch_fails_its_calls_only_and_the_next_ones_are_served() -> None:
    with desk(max_rows=2) as open_desk:
        with open_desk.busy():
            poisoned = open_desk.submit("ab", "poison", "x" * 30)
            beside = open_desk.submit("beside")
            shorter = open_desk.submit("c")
        for future in (poisoned, beside):
            with pytest.raises(DecodeFailed, match="a bad text"):
                future.result()
        assert shorter.result() == [(1, "c")]
        assert open_desk.submit("later").result() == [(5, "l")]
        assert ["x" * 30] not in open_desk.machine.batches


def test_calls_in_one_failing_batch_get_an_error_each() -> None:
    with desk() as open_desk:
        with open_desk.busy():
            futures = [open_desk.submit("poison"), open_desk.submit("victim")]
        errors = [future.exception() for future in futures]
        assert all(isinstance(error, DecodeFailed) for error in errors)
        assert errors[0] is not errors[1]


def test_a_cancelled_call_is_never_computed() -> None:
    with desk() as open_desk:
        with open_desk.busy():
            gone, stays = open_desk.submit("gone", "lost"), open_desk.submit("stays")
            assert gone.cancel()
        assert stays.result() == [(5, "s")]
        assert open_desk.machine.batches == [["stays"]]


def test_a_call_cancelled_half_way_is_computed_no_further() -> None:
    with desk(max_rows=1) as open_desk:
        gone = open_desk.submit(*"!abcdefghij")
        open_desk.machine.stopped.wait()
        assert gone.cancel()
        open_desk.machine.may_go_on.set()
        assert open_desk.submit("next").result() == [(4, "n")]
        assert open_desk.machine.batches == [["!"], ["next"]]


def test_a_full_queue_refuses_until_it_has_drained() -> None:
    with desk(max_queue=3) as open_desk:
        with open_desk.busy():
            waiting = [open_desk.submit(text) for text in "abc"]
            with pytest.raises(QueueFull, match="3 inputs wait"):
                open_desk.submit("d")
        for future in waiting:
            future.result()
        assert open_desk.submit("e").result() == [(1, "e")]


def test_a_call_larger_than_the_queue_is_served_when_nobody_waits() -> None:
    with desk(max_queue=3) as open_desk:
        assert len(open_desk.submit(*"abcdefgh").result()) == 8


def test_retry_after_is_what_waits_at_the_measured_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 1000, 2))
    monkeypatch.setattr("core.coalesce.monotonic", lambda: next(seconds))
    with desk(max_queue=1) as open_desk:
        open_desk.submit("x" * 10).result()  # 10 tokens in 2 seconds
        with open_desk.busy():
            open_desk.submit("y" * 40)
            with pytest.raises(QueueFull) as refused:
                open_desk.submit("z")
        assert refused.value.retry_after == 8


def test_closing_ends_the_thread_and_every_pending_call() -> None:
    open_desk = Desk(max_queue=10**9)
    computing = open_desk.submit("!")
    open_desk.machine.stopped.wait()
    closer = threading.Thread(target=open_desk.coalescer.close)
    closer.start()
    pending = submit_until_refused(open_desk)
    open_desk.machine.may_go_on.set()
    closer.join()
    assert computing.result() == [(1, "!")]
    assert all(isinstance(future.exception(), ShuttingDown) for future in pending)


def submit_until_refused(open_desk: Desk) -> list[Future[list[Vector]]]:
    accepted = []
    try:
        while True:
            accepted.append(open_desk.submit("late"))
    except ShuttingDown:
        return accepted


def test_every_batch_is_computed_inside_the_turnstile(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    class Recorder(Turnstile):
        @contextmanager
        def turn(self) -> Iterator[None]:
            turns.append("enter")
            yield
            turns.append("leave")

    def compute(texts: list[str]) -> list[str]:
        turns.append("compute")
        return texts

    monkeypatch.setattr("core.coalesce.turnstile", Recorder())
    coalescer = Coalescer[str, str](compute, Limits(10, 1, sum), max_queue=9, name="test")
    coalescer.submit(["a", "b"], [1, 1], list).result()
    coalescer.close()
    assert turns == ["enter", "compute", "leave"] * 2
