"""Other tools' files, in small: their numbers become ours by definition, and what they do not tell is null."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compare.comparable import check_comparable
from bench.compare.judge import compare
from bench.compare.metrics import read_metric
from bench.compare.side import read_side
from bench.errors import BenchError
from bench.imports import aiperf, guidellm, llama_bench, vllm
from bench.result import read_result
from handlers.cli import main


def file(folder: Path, content: Any) -> Path:
    path = folder / "their.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def llama_test(n_prompt: int, n_gen: int, samples_ns: list[int], **changes: Any) -> dict[str, Any]:
    return {
        "build_commit": "abc123", "cpu_info": "Some CPU", "model_filename": "models/small.Q4_0.gguf", "n_threads": 2,
        "type_k": "f16", "n_prompt": n_prompt, "n_gen": n_gen, "n_depth": 0, "test_time": "2026-11-01T10:00:00Z",
        "avg_ns": 1, "avg_ts": 1.0, "samples_ns": samples_ns, "samples_ts": [1.0] * len(samples_ns),
    } | changes  # fmt: skip


def vllm_run(**changes: Any) -> dict[str, Any]:
    return {
        "date": "20261101-101500", "backend": "openai-chat", "label": None, "model_id": "org/small", "num_prompts": 100,
        "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 8, "duration": 20.0, "completed": 99, "failed": 1,
        "total_input_tokens": 9900, "total_output_tokens": 4950, "output_throughput": 247.5,
        "mean_ttft_ms": 110.0, "median_ttft_ms": 100.0, "std_ttft_ms": 9.0, "p95_ttft_ms": 150.0, "p99_ttft_ms": 190.0,
        "mean_tpot_ms": 26.0, "median_tpot_ms": 25.0, "mean_itl_ms": 30.0, "median_itl_ms": 20.0,
    } | changes  # fmt: skip


def guidellm_file(*, successful: int = 2) -> dict[str, Any]:
    """Two requests: due at 100 and 101 s, sent 10 ms late, first token after 100 ms, ten more 20 ms apart."""
    requests = [
        {
            "prompt_tokens": 40, "output_tokens": 11, "cached_tokens": None,
            "info": {"timings": {
                "targeted_start": due, "request_start": due + 0.01, "first_token_iteration": due + 0.11,
                "last_token_iteration": due + 0.31, "request_end": due + 0.32,
            }},
        }
        for due in (100.0, 101.0)
    ]  # fmt: skip
    totals = {"successful": successful, "incomplete": 1, "errored": 0, "total": successful + 1}
    return {
        "metadata": {"version": 2},
        "benchmarks": [
            {
                "config": {"strategy": {"type_": "poisson", "rate": 1.0}, "backend": {"model": "org/small"}},
                "metrics": {"request_totals": totals, "time_per_output_token_ms": {"successful": {"median": 29.1}}},
                "requests": {"successful": requests, "errored": [], "incomplete": []},
                "start_time": 100.0,
            }
        ],
    }


def metric(unit: str, **values: float) -> dict[str, Any]:
    return {"unit": unit, **values}


AIPERF = {
    "request_count": metric("requests", avg=60),
    "request_latency": metric("ms", avg=700, p50=690, p90=800, p95=850, p99=900, min=500, max=950, std=70),
    "time_to_first_token": metric("ms", avg=120, p50=110, p90=140, p95=160, p99=180, min=90, max=190),
    "inter_token_latency": metric("ms", avg=21, p50=20, p90=25, p95=26, p99=30, min=15, max=31),
    "inter_chunk_latency": metric("ms", avg=40, p50=39),
    "output_token_throughput": metric("tokens/sec", avg=300.0),
    "output_token_throughput_per_user": metric("tokens/sec/user", avg=49, p50=50.0, min=32, max=66),
    "total_osl": metric("tokens", avg=1800),
    "input_config": {"endpoint": {"model_names": ["org/small"]}, "loadgen": {"concurrency": 4}},
    "start_time": "2026-11-01T10:15:00",
}


def test_llama_bench_repetitions_are_rounds(tmp_path: Path) -> None:
    tests = [llama_test(512, 0, [500_000_000, 512_000_000]), llama_test(0, 128, [1_000_000_000, 1_280_000_000])]
    found = llama_bench.read(file(tmp_path, tests))
    prefill, decode = found.stages
    assert [stage.stage for stage in found.stages] == ["pp512", "tg128"]
    assert [done.prefill_tok_s for done in prefill.rounds] == [1024, 1000]
    assert (prefill.rates.prefill_tok_s, prefill.rates.out_tok_s, prefill.rates.decode_tok_s) == (1012, None, None)
    assert (decode.rates.decode_tok_s, decode.rates.out_tok_s, decode.rates.prefill_tok_s) == (114, 114, None)
    assert (found.model, found.cpu, found.commit) == ("small.Q4_0.gguf", "Some CPU", "abc123")


def test_llama_bench_tests_are_named_by_what_differs(tmp_path: Path) -> None:
    tests = [llama_test(64, 16, [10**9], n_depth=4096, type_k=kind) for kind in ("f16", "q8_0")]
    lines = "\n".join(map(json.dumps, tests))
    names = [stage.stage for stage in llama_bench.read(file(tmp_path, lines)).stages]
    assert names == ["pp64+tg16 @ d4096 type_k=f16", "pp64+tg16 @ d4096 type_k=q8_0"]
    (both, _) = llama_bench.read(tmp_path / "their.json").stages
    assert (both.rates.out_tok_s, both.rates.decode_tok_s, both.rates.prefill_tok_s) == (16, None, None)


def test_vllm_summary_becomes_ours_where_the_definitions_meet(tmp_path: Path) -> None:
    (stage,) = vllm.read(file(tmp_path, vllm_run())).stages
    assert stage.stage == "as fast as possible, at most 8 at once"
    assert (stage.n_sent, stage.n_ok, stage.n_err, stage.n_censored) == (100, 99, 1, None)
    assert (stage.rates.out_tok_s, stage.rates.decode_tok_s, stage.rates.ttft_p50_ms) == (247.5, 40, 100)
    ttft, itl = stage.metrics["ttft_ms"], stage.metrics["itl_ms"]
    assert ttft is not None
    assert itl is not None
    assert (ttft.p50, ttft.p95, ttft.p99, ttft.p_supported) == (100, 150, None, 95)
    assert (itl.p50, itl.min, itl.sd) == (25, None, None)
    assert stage.metrics["e2e_ms"] is None
    assert "gap_ms" not in stage.metrics


def test_vllm_details_are_measured_again_by_our_definitions(tmp_path: Path) -> None:
    details = {
        "start_times": [5.0, 5.5, 6.0], "ttfts": [0.1, 0.2, 0.0], "itls": [[0.02, 0.04], [0.03, 0.03], []],
        "input_lens": [10, 10, 10], "output_lens": [5, 3, 0], "errors": ["", "", "timeout"],
    }  # fmt: skip
    (stage,) = vllm.read(file(tmp_path, vllm_run(completed=2, **details))).stages
    assert stage.metrics["itl_ms"] is not None
    assert stage.metrics["itl_ms"].mean == pytest.approx((60 / 4 + 60 / 2) / 2)
    assert stage.metrics["gap_ms"] is not None
    assert (stage.metrics["gap_ms"].n, stage.metrics["gap_ms"].max) == (4, pytest.approx(40))
    assert stage.rates.ttft_p50_ms == pytest.approx(150)
    assert stage.rates.out_tok_s == 247.5


def test_guidellm_requests_are_counted_from_when_they_were_due(tmp_path: Path) -> None:
    found = guidellm.read(file(tmp_path, guidellm_file()))
    (stage,) = found.stages
    assert (stage.stage, found.model) == ("poisson, rate 1", "org/small")
    assert stage.rates.ttft_p50_ms == pytest.approx(110)
    assert stage.rates.decode_tok_s == pytest.approx(50, rel=1e-4)
    assert stage.rates.out_tok_s == pytest.approx(22 / 1.32, rel=1e-4)
    assert (stage.n_sent, stage.n_ok, stage.n_err, stage.n_censored) == (3, 2, 0, 1)
    assert (stage.sum.prompt, stage.sum.cached) == (80, None)
    assert stage.validity == []


def test_a_sample_of_guidellms_requests_is_doubted(tmp_path: Path) -> None:
    (stage,) = guidellm.read(file(tmp_path, guidellm_file(successful=500))).stages
    assert [flag.text for flag in stage.validity] == ["2 requests are in the file, 500 are counted"]


def test_aiperf_summary_becomes_ours(tmp_path: Path) -> None:
    found = aiperf.read(file(tmp_path, AIPERF))
    (stage,) = found.stages
    assert (stage.stage, found.model) == ("at most 4 at once", "org/small")
    assert (stage.rates.out_tok_s, stage.rates.decode_tok_s, stage.rates.ttft_p50_ms) == (300, 50, 110)
    assert (stage.n_ok, stage.n_err, stage.n_sent) == (60, None, None)
    latency = stage.metrics["e2e_ms"]
    assert latency is not None
    assert (latency.p90, latency.p95, latency.max) == (800, None, 950)
    assert (stage.sum.completion, stage.sum.prompt) == (1800, None)
    with pytest.raises(BenchError, match="request_latency is in 'sec', not in ms"):
        aiperf.read(file(tmp_path, AIPERF | {"request_latency": metric("sec", avg=1, p50=1)}))


@pytest.mark.parametrize("reader", [llama_bench, vllm, guidellm, aiperf], ids=lambda module: module.TOOL)
def test_a_file_of_another_kind_is_refused_by_name_and_key(reader: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=rf"their\.json: not a result of {reader.TOOL}: \w+: Field required"):
        reader.read(file(tmp_path, {"something": "else"}))
    with pytest.raises(BenchError, match=r"their\.json, line 1: not JSON"):
        reader.read(file(tmp_path, "| md | table |"))
    with pytest.raises(BenchError, match="holds no result"):
        reader.read(file(tmp_path, []))


@pytest.mark.parametrize(
    ("tool", "content"),
    [
        ("llama-bench", [llama_test(0, 8, [10**9])]),
        ("vllm", vllm_run()),
        ("guidellm", guidellm_file()),
        ("aiperf", AIPERF),
    ],
)
def test_an_import_can_be_read_and_reported(tool: str, content: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["bench", "import", tool, str(file(tmp_path, content)), "--out", str(out)]) == 0
    result = read_result(out)
    assert (result.command, result.host_load, result.environment.kernel) == (tool, None, None)
    assert result.validity
    assert (out / "report.html").stat().st_size
    assert f"measured by {tool}" in (out / "report.md").read_text()


def test_imports_can_be_compared(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 1.25)):
        times = [round(seconds * 1e9 * factor) for factor in (1, 1.01, 0.99)]
        path = file(tmp_path, [llama_test(0, 128, times)])
        assert main(["bench", "import", "llama-bench", str(path), "--out", str(tmp_path / name)]) == 0
    a, b = read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b"))
    assert [flag.code for flag in check_comparable(a, b)] == ["unknown", "unknown"]
    assert compare(a, b, ("tg128", "llama-bench"), read_metric("decode_tok_s")).verdict == "worse"
    assert (
        compare(a, b, ("tg128", "llama-bench"), read_metric("ttft_ms")).reason
        == "A has no ttft_ms.p50; B has no ttft_ms.p50"
    )
