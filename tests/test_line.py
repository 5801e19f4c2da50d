"""Threads in line: in the order of their start, and past one that is not ready."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.line import Line


def started(line: Line, *works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        line.start(thread)
    return threads


def ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


def test_the_first_one_goes_first_even_if_it_is_ready_a_little_later() -> None:
    line, order, second_waits = Line(patience=10), [], threading.Event()

    def first() -> None:
        assert second_waits.wait(10)
        line.wait()
        order.append(1)

    def second() -> None:
        second_waits.set()
        line.wait()
        order.append(2)

    assert ended(started(line, first, second))
    assert order == [1, 2]


def test_one_that_is_not_ready_is_passed_and_comes_after() -> None:
    line, order, second_is_done = Line(patience=0.01), [], threading.Event()

    def first() -> None:
        assert second_is_done.wait(10)
        line.wait()
        order.append(1)

    def second() -> None:
        line.wait()
        order.append(2)
        second_is_done.set()

    assert ended(started(line, first, second))
    assert order == [2, 1]


def test_one_goes_on_when_those_before_it_have_ended() -> None:
    line, lasting, may_end = Line(patience=10), threading.Event(), threading.Event()
    seen: list[bool] = []

    def first() -> None:
        line.wait()
        lasting.set()
        may_end.wait(10)

    def second() -> None:
        line.wait()
        seen.append(may_end.is_set())

    threads = started(line, first, second)
    assert lasting.wait(10)
    threads[1].join(0.05)
    assert not seen
    may_end.set()
    assert ended(threads)
    assert seen == [True]


def test_one_that_fails_before_it_is_ready_holds_up_nobody() -> None:
    line, done = Line(patience=10), threading.Event()

    def second() -> None:
        line.wait()
        done.set()

    failed = started(line, lambda: None)
    assert ended(failed)
    assert ended(started(line, second))
    assert done.is_set()


def test_a_second_wait_is_none() -> None:
    line, waits = Line(patience=10), []

    def twice() -> None:
        line.wait()
        line.wait()
        waits.append(2)

    assert ended(started(line, twice))
    assert waits == [2]
