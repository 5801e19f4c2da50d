"""`warmfn bench` as its user types it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.calibrate.calibration import METRICS
from bench.calibrate.scripts import SCRIPTS
from bench.requests_file import read_records
from bench.result import read_result
from tests.bench_runs import ANSWER
from tests.bench_stub import StubServer

SCENARIO = """\
schema: bench.scenario/1
name: tiny
model: smollm2-135m-instruct
targets: [{name: peer, kind: url, url: "http://127.0.0.1:1/v1"}, {name: TARGET, kind: TARGET}]
load: [{name: one, concurrency: 2, requests: 8, prompts: {isl: 40, osl: 2}}]
measure: {rounds: 1}
"""


async def bench(*arguments: object) -> tuple[int, list[str]]:
    """Its exit status and standard output, line by line."""
    command = [sys.executable, "-m", "handlers.cli", "bench", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode().splitlines()


@asynccontextmanager
async def stub() -> AsyncIterator[str]:
    async with StubServer(ANSWER).running() as server:
        yield server.url


def test_a_run_calibrates_its_client_and_ends_with_one_json_object(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SCENARIO.replace("TARGET", "bare"))

    async def run() -> tuple[int, list[str]]:
        async with stub() as url:
            chosen = ("--target", f"peer={url}", "--target", f"other={url}", "--target", "peer", "--target", "other")
            return await bench("run", tmp_path / "tiny.yaml", *chosen, "--out", tmp_path / "out")

    status, output = asyncio.run(run())
    assert status == 0
    told, result = json.loads(output[-1]), read_result(tmp_path / "out")
    assert told["complete"] is True
    assert told["ratios"]["one"].keys() == {f"peer/other {m}" for m in ("out_tok_s", "decode_tok_s", "ttft_p50_ms")}
    assert [target.kind for target in result.targets] == ["url", "url"]
    assert result.calibration is not None
    assert result.calibration.faults == []
    assert any("The client's own error" in line for line in output)


def test_calibrate_takes_every_answer_rightly_and_tells_an_error_of_every_metric(tmp_path: Path) -> None:
    status, output = asyncio.run(bench("calibrate", "--out", tmp_path / "out"))
    told = json.loads(output[-1])
    assert (status, told["faults"]) == (0, [])
    assert told["error_ms"].keys() == set(METRICS)
    found = read_result(tmp_path / "out").calibration
    assert found is not None
    assert [check.script for check in found.scripts] == [script.name for script in SCRIPTS]
    role = next(check for check in found.scripts if check.script == "early role chunk")
    assert role.bias_ms["ttft_ms"] > -10, "the role chunk comes 29 ms before the first token"


@pytest.mark.weights
def test_our_app_without_a_socket_is_measured_beside_a_server(tmp_path: Path, models_folder: Path) -> None:
    run_on_weights("in-process", tmp_path, models_folder)


@pytest.mark.extended
@pytest.mark.parametrize("kind", ["functions", "llama-cpp-python", "ours", "llama-server"])
def test_every_kind_of_server_is_started_measured_and_stopped(tmp_path: Path, models_folder: Path, kind: str) -> None:
    run_on_weights(kind, tmp_path, models_folder)


def run_on_weights(kind: str, tmp_path: Path, models_folder: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SCENARIO.replace("TARGET", kind))
    chosen = ("--target", kind, "--models", models_folder, "--out", tmp_path / "out")
    status, _ = asyncio.run(bench("run", tmp_path / "tiny.yaml", *chosen))
    assert status == 0
    (stage,) = read_result(tmp_path / "out").stages
    assert (stage.n_ok, stage.sum.completion) == (8, 16)
    for record in read_records(tmp_path / "out"):
        assert record.template_tokens is not None
        if record.isl is not None:  # llama-cpp-python tells none in streams
            assert record.isl - record.template_tokens == pytest.approx(40, abs=6)
