"""The micro benchmarks run on a model of random weights; what pytest-benchmark writes becomes a part of a result."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.micro.asgi_call import post
from bench.micro.measure import measure_micro, pytest_command
from bench.micro.result import read_micro
from bench.plan.shapes import Shape, header_of
from bench.plan.synthetic import write_synthetic
from bench.report.micro import sections
from bench.session import Session

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny model, whose context is too short for the longest benchmarks."""
    folder = tmp_path_factory.mktemp("models")
    write_synthetic(header_of(Shape("llama", 512, 256, 512, 2, 4, 2, 64, 400), "Q4_0"), folder / "tiny.gguf")
    lines = ("name: tiny", "parameters: {model: tiny.gguf}", "context_size: 512", "slots: 2", "threads: 1")
    (folder / "tiny.yaml").write_text("\n".join((*lines, 'template: {chat_message: "{{.Content}}"}', "")))
    return folder


def run_pytest(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(pytest_command(*options), cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_benchmark_works_on_a_model_of_random_weights(models: Path) -> None:
    found = run_pytest(f"--models={models}", "--model=tiny", "--benchmark-disable")
    assert found.returncode == 0, found.stdout
    # Skipped: two lengths and depths beyond this context, and the three batches of an embedding model.
    assert "11 passed, 5 skipped" in found.stdout


def test_a_model_that_is_not_there_fails_with_what_there_is(models: Path) -> None:
    found = run_pytest(f"--models={models}", "--model=other", "--benchmark-disable", "-k", "prefill and 32")
    assert found.returncode == 1
    assert "it has tiny" in found.stdout


def test_rates_are_tokens_over_seconds(models: Path, tmp_path: Path) -> None:
    written = tmp_path / "benchmark.json"
    options = ("--benchmark-json", str(written), "--benchmark-save-data", "-k", "sse or (decode and 16)")
    found = run_pytest(f"--models={models}", "--model=tiny", *options)
    assert found.returncode == 0, found.stdout
    saved = json.loads(written.read_text())
    assert saved["machine_info"]["warmfn"]["python"]
    timings = {timing.group: timing for timing in read_micro(written).timings}
    decode = timings["decode"]
    assert decode.params == {"depth": 16}
    assert decode.rounds == 5
    assert decode.tok_s == pytest.approx(8 / decode.median_s)
    assert decode.mbu is not None
    assert timings["SSE encoding"].tok_s == pytest.approx(1000 / timings["SSE encoding"].median_s, rel=0.1)
    assert timings["SSE encoding"].mbu is None


def test_a_failed_benchmark_gives_no_result(models: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="ended with status 1"):
        measure_micro(models, "other", tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"benchmarks": [{}]}', "[1]"])
def test_a_file_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(BenchError, match=r"b\.json: not written by pytest-benchmark"):
        read_micro(tmp_path / "b.json")


def test_the_report_has_a_row_for_each_part(tmp_path: Path) -> None:
    stats = {"rounds": 5, "median": 0.02, "min": 0.01, "iqr": 2e-6}
    extra = {"tok_s": 400.0, "mbu": 0.256}
    one = {"group": "decode", "name": "test_decode[16]", "params": {"depth": 16}, "stats": stats, "extra_info": extra}
    (tmp_path / "b.json").write_text(json.dumps({"benchmarks": [one]}))
    result = Session("micro", "micro").result(complete=True, micro=read_micro(tmp_path / "b.json"))
    [section] = sections(result)
    assert section.blocks[0].rows == (("decode (depth 16)", "5", "20.00 ms", "10.00 ms", "2.0 us", "400.0", "26 %"),)


def test_an_asgi_call_returns_the_whole_of_a_stream() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        assert (await receive())["body"] == b"question"  # type: ignore[operator]
        await send({"type": "http.response.start", "status": 418})  # type: ignore[operator]
        for part in (b"a", b"b"):
            await send({"type": "http.response.body", "body": part, "more_body": part == b"a"})  # type: ignore[operator]

    answer = asyncio.run(post(app, "/x", b"question"))  # type: ignore[arg-type]
    assert (answer.status, answer.body) == (418, b"ab")
