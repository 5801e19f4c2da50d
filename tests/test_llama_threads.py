"""The thread governor on machines whose step times are a formula."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import pytest

from core.engine.engine import Engine
from core.llama.threads import LATEST, ThreadGovernor, Threads, ladder
from core.metrics import Metrics
from tests.fakes import FakeDecoder, make_scheduler

Machine = Callable[[int, int], float]
"""(threads, rows) -> seconds of a step."""


def quiet(threads: int, rows: int) -> float:
    return 0.010 * rows / threads


def busy(threads: int, rows: int) -> float:
    """One of two cores belongs to somebody else: two threads wait for each other at every barrier."""
    return 0.012 * rows if threads == 1 else 0.040 * rows


def run(governor: ThreadGovernor, machine: Machine, seconds: float, rows: int = 1) -> float:
    """Tokens per second over that time of computing."""
    left, steps = seconds, 0
    while left > 0:
        took = machine(governor.threads, rows)
        governor.observe(rows, took)
        left -= took
        steps += 1
    return steps * rows / seconds


def test_a_quiet_machine_keeps_all_its_threads_and_nearly_all_its_speed() -> None:
    governor = ThreadGovernor(2)
    rate = run(governor, quiet, 100)
    assert governor.threads == 2
    assert rate > 0.99 / quiet(2, 1)


def test_a_busy_neighbour_costs_a_thread_within_a_second_of_steps_and_its_going_gives_it_back() -> None:
    governor = ThreadGovernor(2)
    run(governor, quiet, 60)
    run(governor, busy, 2)
    assert governor.threads == 1
    assert run(governor, busy, 60) > 0.95 / busy(1, 1)
    run(governor, quiet, 2 * LATEST)
    assert governor.threads == 2


def test_a_machine_that_was_busy_from_the_start_is_found_out() -> None:
    governor = ThreadGovernor(2)
    run(governor, busy, 3)
    assert governor.threads == 1


def test_the_best_of_many_is_climbed_to_in_steps() -> None:
    """With 11 free cores of 16, the twelfth thread makes all others wait."""

    def partly_busy(threads: int, rows: int) -> float:
        return 0.016 * rows / threads if threads <= 11 else 0.016 * rows / 4

    governor = ThreadGovernor(16)
    run(governor, partly_busy, 60)
    assert governor.threads == 10


def test_steps_of_another_size_are_never_compared() -> None:
    """A step of 8 rows takes longer than one of 1 row; that says nothing about the machine."""
    governor = ThreadGovernor(2)
    for _ in range(500):
        for rows in (1, 8):
            for _ in range(3):
                governor.observe(rows, quiet(governor.threads, rows))
                assert governor.threads == 2


def test_a_trial_that_goes_badly_is_ended_at_its_first_step() -> None:
    governor = ThreadGovernor(2)
    used: list[int] = []

    def machine(threads: int, rows: int) -> float:
        used.append(threads)
        return quiet(threads, rows)

    run(governor, machine, 3)
    assert 1 in used
    assert all(not (first == second == 1) for first, second in itertools.pairwise(used))


def test_one_thread_stays_one() -> None:
    governor = ThreadGovernor(1)
    run(governor, busy, 5)
    assert governor.threads == 1


def test_a_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "warmfn.threads")
    run(ThreadGovernor(2, "m"), busy, 3)
    assert "m: 1 threads instead of 2: a step of 1 rows takes 12.0 ms instead of 40.0" in caplog.text


@pytest.mark.parametrize("most", [1, 2, 3, 5, 16, 96])
def test_the_ladder_falls_from_all_to_one(most: int) -> None:
    steps = ladder(most)
    assert steps[0] == most
    assert steps[-1] == 1
    assert steps == sorted(set(steps), reverse=True)


def test_single_rows_and_batches_are_governed_apart_and_prompts_not_at_all() -> None:
    threads = Threads(2, 3, governed=True, name="m")
    for _ in range(200):
        for rows in (1, 512):
            threads.observe(rows, busy(threads.of(rows), rows))
    assert [threads.of(rows) for rows in (1, 2, 512)] == [1, 3, 3]


def test_a_change_is_counted_by_the_kind_of_step_and_a_trial_is_none() -> None:
    metrics, threads, decoder = Metrics(), Threads(2, 3, governed=True, name="m"), FakeDecoder()
    metrics.watch("m", Engine(decoder, make_scheduler(decoder)), threads)
    for _ in range(200):
        threads.observe(1, busy(threads.of(1), 1))
        threads.observe(4, quiet(threads.of(4), 4))
    text = metrics.text().decode()
    assert 'warmfn_threads{model="m",steps="single"} 1.0' in text
    assert 'warmfn_threads{model="m",steps="batched"} 3.0' in text
    assert 'warmfn_thread_changes_total{model="m",steps="single"} 1.0' in text
    assert 'warmfn_thread_changes_total{model="m",steps="batched"} 0.0' in text


def test_beside_a_gpu_nothing_changes() -> None:
    threads = Threads(2, 3, governed=False, name="m")
    for _ in range(200):
        threads.observe(1, busy(threads.of(1), 1))
    assert [threads.of(rows) for rows in (1, 2, 512)] == [2, 3, 3]
