"""Plans: synthetic files that llama.cpp loads, straight lines through cut models, questions that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.plan import predict
from bench.plan.make import make_plan, question
from bench.plan.probe import Job, Measured, measure
from bench.plan.shapes import Shape, header_of, shape_header, with_blocks
from bench.plan.synthetic import write_synthetic
from bench.report.plan import sections
from bench.session import Session
from core.gguf import read_header

SMALL = Shape("llama", 512, 256, 512, 8, 4, 2, 64, 400)


@pytest.mark.parametrize("quant", ["Q4_K_M", "Q8_0", "F16"])
def test_a_synthetic_file_has_the_tensors_of_its_header(tmp_path: Path, quant: str) -> None:
    header = header_of(SMALL, quant)
    write_synthetic(header, tmp_path / "m.gguf")
    written = read_header(tmp_path / "m.gguf")
    assert [(t.name, t.shape, t.type, t.num_bytes) for t in written.tensors] == [
        (t.name, t.shape, t.type, t.num_bytes) for t in header.tensors
    ]
    assert (written.num_layers, written.num_vocab, written.kv_heads) == (8, 400, (2,) * 8)
    assert written.end_of_data <= (tmp_path / "m.gguf").stat().st_size


@pytest.mark.parametrize("architecture", ["llama", "phi2", "qwen2"])
def test_llama_cpp_computes_a_synthetic_file(tmp_path: Path, architecture: str) -> None:
    write_synthetic(header_of(Shape(architecture, 512, 256, 512, 2, 4, 4, 64, 400), "Q4_K_M"), tmp_path / "m.gguf")
    found = measure(Job(str(tmp_path / "m.gguf"), prompt=20, output=4, threads=1))
    assert found.prefill_s > 0
    assert found.decode_s > 0
    assert found.peak_bytes > 1 << 20


def test_cut_models_keep_whole_blocks_under_new_numbers() -> None:
    header = header_of(SMALL, "Q4_K_M")
    cut = with_blocks(header, [1, 6])
    assert cut.num_layers == 2
    names = [tensor.name.split(".", 2) for tensor in cut.tensors if tensor.name.startswith("blk.")]
    assert {number for _, number, _ in names} == {"0", "1"}
    assert len(cut.tensors) == len(header.tensors) - 6 * len(names) // 2


@pytest.mark.parametrize("shape", ["mistral-7b", "phi-2"])
def test_typical_blocks_are_as_large_as_the_average_block(shape: str) -> None:
    header = shape_header(shape, "Q4_K_M")
    outside = with_blocks(header, []).weight_bytes
    average = (header.weight_bytes - outside) / 32
    for count in (predict.FEW, predict.SOME):
        cut = with_blocks(header, predict.typical_blocks(header, count))
        assert (cut.weight_bytes - outside) / count == pytest.approx(average, rel=0.02)


def test_cut_models_are_extended_in_a_straight_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 ms for what comes once and 2 ms for each layer; a prompt a hundred times as much."""

    def timed(job: Job) -> Measured:
        layers = read_header(Path(job.path)).num_layers or 0
        step = 0.005 + 0.002 * layers
        return Measured(100 * step, step, 0)

    monkeypatch.setattr(predict, "measure", timed)
    speed = predict.extrapolate(header_of(SMALL, "Q8_0"), prompt=50, output=11, threads=1, on_step=lambda words: None)
    assert speed.decode_tok_s == pytest.approx(1 / 0.021)
    assert speed.ttft_s == pytest.approx(2.1)
    assert speed.reply_s == pytest.approx(2.1 + 10 * 0.021)


def test_a_plan_without_probes_says_what_follows_from_the_dimensions() -> None:
    asked = question("phi-2", "q4_k_m", prompt=1000, output=100, threads=1)
    plan = make_plan(asked, probes=False, synthetic=False, on_step=lambda words: None)
    assert plan.kv_bytes_per_token == 32 * 32 * 160 * 2
    assert plan.memory_bytes == plan.weight_bytes + 1100 * plan.kv_bytes_per_token
    assert plan.ceiling.decode_tok_s > 0
    assert plan.predicted is None
    assert plan.measured is None
    result = Session("plan", "plan").result(complete=True, plan=plan)
    first, second = sections(result)
    assert first.title == "1000 tokens in, 100 out, one request alone"
    assert second.title == "Memory"


def test_weights_that_are_here_are_measured_themselves(tmp_path: Path) -> None:
    write_synthetic(header_of(SMALL, "Q8_0"), tmp_path / "m.gguf")
    asked = question(str(tmp_path / "m.gguf"), "ignored", prompt=16, output=4, threads=1)
    plan = make_plan(asked, probes=False, synthetic=False, on_step=lambda words: None)
    assert plan.measured
    assert plan.measured_bytes


def test_a_model_that_does_not_fit_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_synthetic(header_of(SMALL, "Q8_0"), tmp_path / "m.gguf")
    asked = question(str(tmp_path / "m.gguf"), "ignored", prompt=16, output=4, threads=1)
    monkeypatch.setattr("bench.plan.make.available_memory", lambda: 1 << 20)
    said: list[str] = []
    with pytest.raises(BenchError, match=r"m\.gguf takes . MiB of memory and 1 are free"):
        make_plan(asked, probes=True, synthetic=False, on_step=said.append)
    assert said == []


def test_weights_of_few_layers_are_not_cut(tmp_path: Path) -> None:
    few = header_of(Shape("llama", 512, 256, 512, 4, 4, 2, 64, 400), "Q8_0")
    with pytest.raises(BenchError, match="too small to be told from 6 of them: say --no-probe"):
        predict.extrapolate(few, prompt=50, output=11, threads=1, on_step=lambda words: None)


def test_a_header_alone_can_be_planned_for(tmp_path: Path) -> None:
    write_synthetic(header_of(SMALL, "Q8_0"), tmp_path / "whole.gguf")
    header = read_header(tmp_path / "whole.gguf")
    (tmp_path / "head.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[: header.data_offset + 10])
    assert question(str(tmp_path / "head.gguf"), "", prompt=16, output=4, threads=1).file is None


@pytest.mark.parametrize(
    ("shape", "quant", "prompt", "words"),
    [
        ("mistral-8b", "Q4_K_M", 100, "neither a GGUF file nor one of the shapes mistral-7b"),
        ("phi-2", "Q3_K", 100, "no quantization 'Q3_K'"),
        ("phi-2", "Q4_K_M", 3000, "trained for 2048 tokens"),
        ("phi-2", "Q4_K_M", 0, "at least 1 token in"),
    ],
)
def test_a_question_without_an_answer_is_refused(shape: str, quant: str, prompt: int, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        question(shape, quant, prompt=prompt, output=100, threads=None)


def test_a_type_without_synthetic_weights_is_named(tmp_path: Path) -> None:
    header = header_of(SMALL, "Q8_0")
    odd = header.tensors[0].__class__("odd", (256, 2), "IQ2_XXS", 0, 132)
    with pytest.raises(BenchError, match="no synthetic weights of type IQ2_XXS"):
        write_synthetic(header.__class__(3, header.metadata, {}, (*header.tensors, odd), 0), tmp_path / "m.gguf")
