"""Ways to a target other than a plain HTTP stream: RunPod's queue, and our app without a socket."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.client import Client
from bench.record import INTERRUPTED, RequestRecord
from bench.scenario import Workload
from bench.target_spec import TargetSpec
from bench.targets.doors import RunPodDoor, UrlDoor
from bench.targets.process import ChildProcess
from bench.transport.exchange import Transport
from bench.transport.pipe import PipeTransport
from tests.bench_runpod import RunPod
from tests.bench_stub import DONE, ROLE, delta, usage


def new_record() -> RequestRecord:
    return RequestRecord("t", "s", 0, 0, 20, 3, 0)


def new_client(transport: Transport, api: Any = "chat") -> Client:
    return Client(transport, model="m", workload=Workload(api=api), extra={"ignore_eos": True})


async def polled(endpoint: RunPod, api: Any = "chat", prompt: Any = "hello") -> RequestRecord:
    async with endpoint.running():
        spec = TargetSpec(name="r", kind="runpod", url=endpoint.url, transport="poll", api_key_env="BENCH_KEY")
        client = new_client(await RunPodDoor(spec).open(), api)
        record = new_record()
        await client.send(prompt, record)
        await client.close()
        return record


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_KEY", "secret")


def events(*parts: bytes) -> list[str]:
    return [part.decode() for part in parts]


def test_a_job_is_posted_with_key_and_route_and_its_lots_are_one_stream() -> None:
    endpoint = RunPod([[], events(ROLE + delta(content="a")), events(delta(content="b"), usage(20, 2), DONE)])
    record = asyncio.run(polled(endpoint))
    assert record.ok
    assert (record.isl, record.osl, record.token_source, len(record.chunks)) == (20, 2, "usage", 2)
    (job,) = endpoint.jobs
    assert job["input"]["openai_route"] == "/v1/chat/completions"
    assert job["input"]["openai_input"]["stream"] is True
    assert endpoint.keys == {"Bearer secret"}


def test_a_polled_reply_tells_no_time_between_tokens_and_what_the_platform_says_of_its_own() -> None:
    endpoint = RunPod([events(delta(content="a")), events(delta(content="b"), usage(20, 2), DONE)])
    record = asyncio.run(polled(endpoint))
    assert record.transport == "poll"
    assert record.ttft_ms is not None
    assert record.itl_ms is record.decode_tok_s is None
    assert record.gaps_ms == []
    assert record.server_timings == {"delay_ms": 120, "execution_ms": 340}


def test_events_that_come_as_objects_are_read_too() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    assert len(asyncio.run(polled(RunPod([[chunk, DONE.decode()]]))).chunks) == 1


def test_a_failed_job_is_an_error_with_its_reason() -> None:
    record = asyncio.run(polled(RunPod([[]], end="FAILED", error="out of memory")))
    assert record.err == "RunPodFailure: the job is FAILED: out of memory"


def test_a_job_that_is_not_taken_is_a_refusal() -> None:
    record = asyncio.run(polled(RunPod([], run_status=429)))
    assert (record.refused, record.status, record.retry_after_s) == (True, 429, 4.0)
    assert "slow down" in str(record.err)


def test_a_job_whose_client_goes_away_is_cancelled() -> None:
    async def interrupt() -> tuple[RunPod, RequestRecord]:
        endpoint = RunPod([[]] * 10_000)
        async with endpoint.running():
            spec = TargetSpec(name="r", kind="runpod", url=endpoint.url, transport="poll", api_key_env="BENCH_KEY")
            client, record = new_client(await RunPodDoor(spec).open()), new_record()
            sending = asyncio.create_task(client.send("hello", record))
            while not endpoint._polls:
                await asyncio.sleep(0.01)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await client.close()
        return endpoint, record

    endpoint, record = asyncio.run(interrupt())
    assert endpoint.cancelled == ["job-1"]
    assert record.err == INTERRUPTED


VECTORS = {"data": [{"embedding": [0.1]}, {"embedding": [0.2]}], "usage": {"prompt_tokens": 9, "total_tokens": 9}}


@pytest.mark.parametrize("output", [VECTORS, json.dumps(VECTORS)], ids=["object", "text"])
def test_embeddings_come_as_one_body(output: Any) -> None:
    endpoint = RunPod([[output]])
    record = asyncio.run(polled(endpoint, "embeddings", ["one", "two"]))
    assert record.ok
    assert (record.texts, record.isl, record.osl) == (2, 9, None)
    assert endpoint.jobs[0]["input"]["openai_input"] == {"model": "m", "input": ["one", "two"]}


def test_the_openai_surface_of_an_endpoint_is_found_below_its_address() -> None:
    async def open_it() -> RunPod:
        endpoint = RunPod([])
        async with endpoint.running():
            spec = TargetSpec(name="r", kind="runpod", url=endpoint.url, api_key_env="BENCH_KEY")
            await (await UrlDoor(spec).open()).close()
        return endpoint

    assert asyncio.run(open_it()).keys == {"Bearer secret"}


async def through_pipe(tmp_path: Path, prompt: str, *, cancel_at: Path | None = None) -> RequestRecord:
    command = [sys.executable, "-m", "tests.bench_pipe_app"]
    child = await ChildProcess.start("app", command, tmp_path / "log", answers=True)
    try:
        assert await child.answer() == "ready\n"
        client, record = new_client(PipeTransport(child)), new_record()
        sending = asyncio.create_task(client.send(prompt, record))
        if cancel_at:
            while not cancel_at.exists():
                await asyncio.sleep(0.01)
            sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await client.close()
        return record
    finally:
        await child.stop()


def test_an_app_without_a_socket_streams_and_is_timed_where_it_runs(tmp_path: Path) -> None:
    record = asyncio.run(through_pipe(tmp_path, "hello"))
    assert record.ok
    assert (record.osl, len(record.chunks), record.chars[1]) == (2, 2, len("/v1/chat/completions"))
    assert record.retry_after_s == 7
    moments = [record.t_send, record.t_first_byte, record.t_first_tok, record.t_last_tok, record.t_end]
    known = [moment for moment in moments if moment is not None]
    assert len(known) == len(moments)
    assert known == sorted(set(known))


def test_a_request_without_a_socket_that_is_cancelled_keeps_what_came(tmp_path: Path) -> None:
    record = asyncio.run(through_pipe(tmp_path, str(tmp_path / "waits"), cancel_at=tmp_path / "waits"))
    assert record.err == INTERRUPTED
    assert len(record.chunks) == 2


def test_an_app_that_dies_fails_its_requests(tmp_path: Path) -> None:
    assert asyncio.run(through_pipe(tmp_path, "die")).err == "the process of the app ended"
