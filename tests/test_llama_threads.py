"""The thread governor on machines whose step times are a formula."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from core.engine.engine import Engine
from core.llama.threads import LATEST, SOONEST, WINDOW, ThreadGovernor, Threads, ladder
from core.metrics import Metrics
from tests.fakes import FakeDecoder, make_scheduler

Machine = Callable[[int], tuple[float, float]]
"""Threads -> seconds of a step, and the CPU time that it got."""


def machine(cores: int, neighbours: int) -> Machine:
    """A step is 10 ms of work for one core. Each neighbour wants one for itself: where threads and neighbours are more
    than the cores, as many threads have to share theirs, and the others spin until those are done."""

    def step(threads: int) -> tuple[float, float]:
        sharing = min(max(threads + neighbours - cores, 0), threads)
        seconds = 0.010 / threads * (2 if sharing else 1)
        return seconds, (threads - sharing / 2) * seconds

    return step


def run(governor: ThreadGovernor, step: Machine, seconds: float) -> float:
    """Steps per second over that time of computing."""
    left, steps = seconds, 0
    while left > 0:
        took, cpu = step(governor.threads)
        governor.observe(governor.threads, took, cpu)
        left -= took
        steps += 1
    return steps / seconds


def test_a_quiet_machine_keeps_all_its_threads() -> None:
    governor = ThreadGovernor(2)
    assert run(governor, machine(2, 0), 100) == pytest.approx(200, rel=1e-3)
    assert governor.threads == 2


@pytest.mark.parametrize(("cores", "neighbours"), [(4, 1), (16, 1), (16, 5), (8, 7)])
def test_neighbours_get_their_cores_and_what_is_left_computes_undisturbed(cores: int, neighbours: int) -> None:
    governor, step = ThreadGovernor(cores), machine(cores, neighbours)
    run(governor, step, 1)
    assert governor.threads <= cores - neighbours
    assert run(governor, step, 60) > 0.9 / step(governor.threads)[0]


def test_a_neighbour_that_goes_gives_its_core_back() -> None:
    governor = ThreadGovernor(4)
    run(governor, machine(4, 1), 10 * LATEST)
    assert governor.threads == 3
    run(governor, machine(4, 0), LATEST + 2 * WINDOW)
    assert governor.threads == 4


def test_two_threads_that_spin_on_one_core_are_found_out_within_a_step() -> None:
    """Beside one neighbour, where the kernel has put them so: each waits for the other's whole time slices."""
    governor = ThreadGovernor(2)
    assert governor.observe(2, 0.200, 0.200)
    assert governor.threads == 1


def test_a_light_neighbour_costs_less_than_a_thread() -> None:
    governor = ThreadGovernor(2)
    for _ in range(1000):
        assert not governor.observe(2, 0.010, 0.016)


def test_tries_become_rare_while_the_machine_stays_busy() -> None:
    governor, step = ThreadGovernor(4), machine(4, 1)
    tries = [governor.observe(governor.threads, *step(governor.threads)) for _ in range(20_000)]
    assert sum(tries) < 2 * 15


def test_one_thread_stays_one_whatever_it_gets() -> None:
    governor = ThreadGovernor(1)
    assert not any(governor.observe(1, 1.0, 0.1) for _ in range(100))
    assert governor.threads == 1


def test_a_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "warmfn.threads")
    ThreadGovernor(2, "m").observe(2, 0.100, 0.130)
    assert "m: 1 threads instead of 2: of 2 cores 0.70 were somebody else's" in caplog.text


@pytest.mark.parametrize("most", [1, 2, 3, 5, 16, 96])
def test_the_ladder_falls_from_all_to_one(most: int) -> None:
    steps = ladder(most)
    assert steps[0] == most
    assert steps[-1] == 1
    assert steps == sorted(set(steps), reverse=True)


def test_steps_of_one_row_and_of_more_have_their_own_most() -> None:
    threads = Threads(2, 3, governed=True, name="m")
    assert [threads.of(rows) for rows in (1, 2, 512)] == [2, 3, 3]
    threads.observe(512, 0.100, 0.200)
    assert [threads.of(rows) for rows in (1, 2, 512)] == [2, 2, 2]
    threads.observe(1, 0.100, 0.100)
    assert [threads.of(rows) for rows in (1, 2, 512)] == [1, 1, 1]


def test_a_change_is_counted_and_the_present_number_told() -> None:
    metrics, threads, decoder = Metrics(), Threads(2, 2, governed=True, name="m"), FakeDecoder()
    metrics.watch("m", Engine(decoder, make_scheduler(decoder)), threads)
    threads.observe(1, 0.100, 0.120)
    threads.observe(1, SOONEST / 2, SOONEST / 2)
    text = metrics.text().decode()
    assert 'warmfn_threads{model="m"} 1.0' in text
    assert 'warmfn_thread_changes_total{model="m"} 1.0' in text


def test_beside_a_gpu_nothing_changes() -> None:
    threads = Threads(2, 3, governed=False, name="m")
    threads.observe(1, 1.0, 0.5)
    assert [threads.of(rows) for rows in (1, 2, 512)] == [2, 3, 3]
