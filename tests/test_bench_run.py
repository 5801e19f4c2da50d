"""Whole runs against stub servers: what is left on disk, and what of it a report can read."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench.errors import BenchError
from bench.neighbours import busy_neighbours, check_neighbours
from bench.report.contents import report_of
from bench.report.markdown import markdown
from bench.report.terminal import print_report
from bench.result import read_result
from bench.sample import Sample
from bench.targets.bare_target import add_records
from bench.targets.ceiling import LockstepRun
from bench.targets.process import ChildProcess
from tests.bench_runs import ANSWER, embedding_scenario, lines, measured_run, new_run, scenario
from tests.bench_stub import StubServer, delta


def test_a_run_leaves_one_line_per_request_and_a_summary_of_them(tmp_path: Path) -> None:
    result = measured_run(tmp_path)
    assert result.complete
    assert [(line["target"], line["round"], line["index"]) for line in lines(tmp_path)] == [
        (target, number, index)
        for number, order in enumerate([("t0", "t1"), ("t1", "t0")])
        for target in order
        for index in range(5)
    ]
    assert [(stage.target, stage.n_ok, stage.sum.completion) for stage in result.stages] == [
        ("t0", 10, 20),
        ("t1", 10, 20),
    ]
    assert {ratio.baseline for ratio in result.ratios} == {"t1"}


def test_the_report_names_targets_ratios_doubts_and_missing_percentiles(tmp_path: Path) -> None:
    result = measured_run(tmp_path)
    console = Console(record=True, width=100, file=(tmp_path / "terminal.txt").open("w"))
    report = report_of(result)
    print_report(report, console)
    console.file.close()
    for text in (markdown(report), console.export_text()):
        assert "two: 2 clients, about 20 tokens in, 2 out" in text
        assert "t0 / t1: out_tok_s " in text
        assert "TTFT p95 n/a (n=10, need 90)" in text
        assert "10/10" in text


def test_embeddings_are_reported_as_texts_and_tokens_in_a_second(tmp_path: Path) -> None:
    reply = {"data": [{"embedding": [0.5]}] * 3, "usage": {"prompt_tokens": 60, "total_tokens": 60}}

    async def measure() -> None:
        async with StubServer([json.dumps(reply).encode()]).running() as one:
            run = new_run(embedding_scenario(one.url, one.url), tmp_path)
            await run.measure()
            run.result(None).write(tmp_path)

    asyncio.run(measure())
    result = read_result(tmp_path)
    for stage in result.stages:
        assert (stage.n_ok, stage.sum.prompt, stage.sum.completion) == (8, 480, 0)
        assert stage.rates.texts_s is not None
        assert stage.rates.prompt_tok_s == pytest.approx(20 * stage.rates.texts_s)
        assert stage.rates.out_tok_s is stage.rates.ttft_p50_ms is None
    report = markdown(report_of(result))
    assert "batches: 2 clients, 3 texts of about 20 tokens in a request" in report
    assert "t0 / t1: texts_s " in report
    assert "out tok/s" not in report


def test_an_interrupted_run_keeps_what_was_measured(tmp_path: Path) -> None:
    async def interrupt() -> None:
        async with StubServer(ANSWER, hang=True).running() as server:
            run = new_run(scenario(server.url, warmup=0), tmp_path)
            measuring = asyncio.create_task(run.measure())
            for _ in range(2):
                await server.answered.acquire()
            measuring.cancel()
            with pytest.raises(asyncio.CancelledError):
                await measuring
            run.result(None).write(tmp_path)

    asyncio.run(interrupt())
    result = read_result(tmp_path)
    (stage,) = result.stages
    assert not result.complete
    assert result.validity[0].code == "incomplete"
    assert (stage.n_sent, stage.n_ok, stage.n_censored) == (2, 0, 2)
    assert len(lines(tmp_path)) == 2
    assert "the run was stopped before its end" in markdown(report_of(result))


def test_a_target_that_fails_at_warm_up_ends_the_run_by_name(tmp_path: Path) -> None:
    async def measure() -> None:
        async with StubServer([delta(content="a")]).running() as server:
            await new_run(scenario(server.url), tmp_path).measure()

    with pytest.raises(BenchError, match="t0 fails already at warm-up: the stream broke off"):
        asyncio.run(measure())


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"t0: http://127\.0\.0\.1:1/v1/models is not ready"):
        asyncio.run(new_run(scenario("http://127.0.0.1:1/v1"), tmp_path).measure())


def test_a_child_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    async def start() -> None:
        command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
        child = await ChildProcess.start("peer", command, tmp_path / "peer.log", answers=True)
        try:
            await child.ask("")
        finally:
            await child.stop()

    with pytest.raises(BenchError, match="peer ended with status 1:\nno such model"):
        asyncio.run(start())


def test_a_stopped_child_is_gone(tmp_path: Path) -> None:
    async def start() -> ChildProcess:
        child = await ChildProcess.start(
            "echo", [sys.executable, "-c", "print(input(), flush=True); input()"], tmp_path / "log", answers=True
        )
        assert await child.ask("hello") == "hello\n"
        await child.stop()
        return child

    with pytest.raises(BenchError, match="echo ended"):
        asyncio.run(start()).check_alive()


def test_neighbours_compute_until_the_block_ends() -> None:
    async def beside() -> None:
        async with busy_neighbours(2):
            await asyncio.sleep(0.2)

    before = os.times().children_user
    asyncio.run(beside())
    assert os.times().children_user > before, "only children that have ended count"


def test_neighbours_of_a_target_on_another_host_are_refused_by_key_and_target() -> None:
    load = [{"name": "busy", "neighbours": 1, "concurrency": 1, "requests": 1, "prompts": {"isl": 20, "osl": 2}}]
    here = scenario("http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:8080/v1")
    elsewhere = scenario("http://127.0.0.1:8080/v1", "http://192.0.2.1/v1")
    check_neighbours(here.changed(load=load))
    check_neighbours(elsewhere)
    with pytest.raises(BenchError, match=r"load 'busy': neighbours: .* target 't1' is on another .*192\.0\.2\.1"):
        check_neighbours(elsewhere.changed(load=load))


def test_who_is_cancelled_while_a_child_ends_waits_for_that(tmp_path: Path) -> None:
    lingering = "import signal, time; signal.signal(15, lambda *_: (time.sleep(0.3), exit(3))); print(); input()"

    async def stop_and_cancel() -> ChildProcess:
        child = await ChildProcess.start("slow", [sys.executable, "-c", lingering], tmp_path / "log", answers=True)
        await child.answer()
        stopping = asyncio.create_task(child.stop())
        await asyncio.sleep(0.05)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        return child

    with pytest.raises(BenchError, match="slow ended with status 3"):
        asyncio.run(stop_and_cancel()).check_alive()


def test_a_result_of_another_kind_is_refused_by_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"schema": "bench.result/9"}')
    with pytest.raises(BenchError, match=r"result\.json: not a bench\.result/1 file: schema"):
        read_result(tmp_path)
    with pytest.raises(BenchError, match="cannot be read"):
        read_result(tmp_path / "absent")


def test_lockstep_sequences_share_the_phases_of_their_run() -> None:
    sample = Sample("bare", scenario("http://127.0.0.1:1/v1").load[0], 0)
    add_records(LockstepRun([3, 5], [1_000_000_000, 1_500_000_000, 1_750_000_000, 2_000_000_000]), sample)
    first, second = sample.records
    assert [record.isl for record in sample.records] == [3, 5]
    assert (first.osl, first.ttft_ms, first.decode_tok_s, first.prefill_tok_s) == (3, 500, 4, 16)
    assert first.server_timings == second.server_timings
