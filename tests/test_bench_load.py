"""Loads driven against servers of known timing."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter_ns
from typing import Any

import pytest

from bench.client import Client
from bench.load.arrivals import arrivals
from bench.load.drive import drive
from bench.load.goodput import attainment
from bench.load.window import most_in_flight
from bench.record import CUT_OFF, INTERRUPTED, RequestRecord
from bench.sample import Sample
from bench.scenario import Workload
from bench.slo import Slo
from bench.stages import AnyStage, Closed, Constant, Poisson, Prompts
from bench.stats import percentile
from bench.transport.http import HttpTransport
from tests.bench_stub import TimedServer

PROMPTS = Prompts(isl=16, osl=2)


def constant(rate: float, requests: int, **parts: Any) -> Constant:
    return Constant(name="c", kind="constant", prompts=PROMPTS, rate=rate, requests=requests, **parts)


def driven(stage: AnyStage, server: TimedServer) -> list[RequestRecord]:
    async def measure() -> list[RequestRecord]:
        async with server.running():
            client = Client(HttpTransport(server.url), model="m", workload=Workload(), extra={})
            due = [] if isinstance(stage, Closed) else arrivals(stage, "7")
            sample = Sample("stub", stage, 0, due)
            await drive(client.send, ["hello"] * (len(due) or stage.num_requests), sample)
            await client.close()
            return sample.records

    return asyncio.run(measure())


def ttfts(records: list[RequestRecord]) -> list[float]:
    return [record.ttft_ms for record in records if record.ttft_ms is not None]


def test_an_open_loop_sends_when_due_whatever_is_in_flight() -> None:
    records = driven(constant(50, 20), TimedServer(ttft=0.3))
    assert all(record.ok for record in records)
    assert [record.t_sched - records[0].t_sched for record in records] == [n * 20_000_000 for n in range(20)]
    assert most_in_flight(records) >= 10
    assert min(ttfts(records)) >= 300


def test_a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one() -> None:
    """Coordinated omission: one client waits out the stall, 50 arrivals a second do not."""
    stall = (0.2, 1.2)
    opened = driven(constant(50, 70), TimedServer(ttft=0.01, stall=stall))
    closed = driven(Closed(name="c", concurrency=1, requests=40, prompts=PROMPTS), TimedServer(ttft=0.01, stall=stall))
    assert percentile(ttfts(opened), 95) > 800
    assert sum(ttft > 200 for ttft in ttfts(opened)) >= 35
    assert sum(ttft > 200 for ttft in ttfts(closed)) <= 2


def test_a_client_that_holds_requests_back_pays_in_latency_from_schedule() -> None:
    records = driven(constant(100, 20, max_in_flight=2), TimedServer(ttft=0.05))
    last = records[-1]
    assert most_in_flight(records) == 2
    assert last.lag_ms is not None
    assert last.lag_ms > 200
    assert (last.ttft_ms or 0) - (last.ttft_from_send_ms or 0) == pytest.approx(last.lag_ms)
    assert (last.e2e_ms or 0) > (last.e2e_from_send_ms or 0) + 200


def test_requests_that_outlast_the_drain_are_cut_off_and_counted() -> None:
    records = driven(constant(100, 4, drain=0.1, max_in_flight=3), TimedServer(ttft=30))
    assert [record.err for record in records] == [CUT_OFF] * 4
    assert [record.t_send is None for record in records] == [False, False, False, True]
    found = attainment(records, Slo(ttft_ms=60_000))
    assert (found.good, found.n) == (0, 4)


def test_the_drain_of_a_closed_loop_is_cut_off_too() -> None:
    stage = Closed(name="c", concurrency=2, requests=2, prompts=PROMPTS, drain=0.1)
    assert [record.err for record in driven(stage, TimedServer(ttft=30))] == [CUT_OFF] * 2


def test_a_closed_loop_begins_nothing_after_its_duration() -> None:
    stage = Closed(name="c", concurrency=2, requests=1000, duration=0.2, prompts=PROMPTS)
    records = driven(stage, TimedServer(ttft=0.05))
    assert 2 <= len(records) < 20
    assert all(record.ok for record in records)
    assert max(record.t_sched for record in records) - records[0].t_sched < 250_000_000


def test_refusals_are_errors_and_misses() -> None:
    records = driven(constant(1000, 10), TimedServer(ttft=0.3, slots=2, queue=1))
    assert sum(record.status == 429 for record in records) == 7
    assert attainment(records, Slo(e2e_ms=10_000)).good == 3


def test_a_cancelled_open_loop_leaves_a_record_of_all_that_was_due() -> None:
    async def interrupt() -> tuple[Sample, int]:
        stage = Poisson(name="p", kind="poisson", prompts=PROMPTS, rate=100, requests=200)
        sample = Sample("stub", stage, 0, arrivals(stage, "7"))
        async with TimedServer(ttft=30).running() as server:
            client = Client(HttpTransport(server.url), model="m", workload=Workload(), extra={})
            task = asyncio.create_task(drive(client.send, ["hello"] * 200, sample))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.wait([task])
            await client.close()
        return sample, perf_counter_ns()

    sample, now = asyncio.run(interrupt())
    assert 0 < len(sample.records) < 200
    assert {record.err for record in sample.records} == {INTERRUPTED}
    assert all(record.t_sched <= now for record in sample.records)


def test_both_clocks_agree_where_the_client_is_in_time() -> None:
    records = driven(Closed(name="c", concurrency=1, requests=5, prompts=PROMPTS), TimedServer(ttft=0.05, itl=0.02))
    own = [record.ttft_from_send_ms for record in records if record.ttft_from_send_ms is not None]
    assert median(own) >= 50
    assert all(whole >= part for whole, part in zip(ttfts(records), own, strict=True))
