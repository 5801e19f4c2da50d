"""Quantizations of one file: which one pays by known speeds, what is kept, told and refused; the files are real."""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import gguf
import pytest

from bench import cli
from bench.commands import quants as command
from bench.commands.options import EXIT_INTERRUPTED, interrupted_by_sigterm
from bench.errors import BenchError
from bench.quants import measure, source
from bench.quants.choice import best_lossless, is_faster, pareto_line
from bench.quants.probe import Job, Round, measure_round
from bench.quants.result import QuantForm, QuantsPart
from bench.quants.source import mixture
from bench.report.figures import LinePlot
from bench.report.quants import sections
from bench.report.quants_verdict import findings
from bench.result import Result, read_result
from bench.roofline.peaks import Peaks
from core.errors import CoreError, StoreError
from core.gguf import read_header
from core.llama import perplexity
from core.llama import quantize as quantizer
from core.llama.measures import Quality, Rates
from tests.small_gguf import write_gguf
from tests.tiny_llama import write_tiny_llama

PEAKS = Peaks(read_bytes_s=1e9, flops_s=1e9, threads=1)
SAME = Quality(1000, 20.0, 1.0, 20.0, 1.0, 0.001, 0.001, 0.004, 0.0001, 0.95)
SPEEDS = {"F16": 10.0, "Q8_0": 20.0, "Q5_K_M": 15.0, "Q4_K_M": 5.0, "Q4_0": 30.0}
ALL_SPEEDS = {"Q4_1": 10.0, **SPEEDS}


def form(quant: str, *speeds: float, loss: float | None = None) -> QuantForm:
    """With a round of each speed; `loss` is its divergence, None for the original."""
    quality = None if loss is None else replace(SAME, divergence=loss)
    rounds = [Rates(10 * speed, speed, 4 * speed) for speed in speeds]
    return QuantForm(
        quant=quant, file_bytes=1, weight_bytes=1, mixture={}, fast_share=1.0, rounds=rounds, quality=quality
    )


ORIGINAL = form("F16", 10, 10, 10)


def test_the_pareto_line_has_each_form_that_is_faster_than_all_that_are_closer() -> None:
    forms = [
        ORIGINAL,
        form("c", 30, 30, 30, loss=0.3),
        form("b", 11, 11, 11, loss=0.2),
        form("a", 15, 15, 15, loss=0.1),
    ]
    assert pareto_line(forms) == ["F16", "a", "c"]
    assert pareto_line([ORIGINAL, form("slow", 9, 9, 9, loss=0.001)]) == ["F16"]


def test_faster_is_what_every_round_shows_and_the_median_by_more_than_noise() -> None:
    assert is_faster(form("a", 11, 12, 13), ORIGINAL)
    assert not is_faster(form("a", 9, 12, 13), ORIGINAL), "one round says otherwise"
    assert not is_faster(form("a", 10.1, 10.2, 13), ORIGINAL), "2 % are nothing"
    assert is_faster(form("a", 6, 24, 12), form("b", 5, 20, 10)), "rounds are compared with their own"


def test_the_best_is_the_fastest_without_measurable_loss() -> None:
    forms = [ORIGINAL, form("a", 15, 15, 15, loss=0.005), form("b", 30, 30, 30, loss=0.3)]
    assert best_lossless(forms) == "a"
    assert best_lossless([ORIGINAL, form("b", 30, 30, 30, loss=0.3)]) == "F16"


def test_the_verdict_gives_each_form_its_reason() -> None:
    slow_kernels = form("slow", 16, 16, 16, loss=0.4).model_copy(update={"fast_share": 0.2})
    forms = [
        ORIGINAL,
        form("exact", 20, 20, 20, loss=0.005),
        form("lossy", 30, 30, 30, loss=0.3),
        form("unclear", 19, 22, 22, loss=0.1),
        slow_kernels,
    ]
    part = QuantsPart(
        **{"sequences": 8, "prompt": 256, "cells": 512, "threads": 1, "kv_cache_bytes": 1, "peaks": PEAKS},
        fast_types=["Q8_0"],
        forms=forms,
        not_made={"odd": "no reason"},
        best=best_lossless(forms),
        pareto=pareto_line(forms),
    )
    found = list(findings(Result.model_construct(quants=part)))
    words = {finding.label: finding.words for finding in found}
    assert found[0].label == "exact"
    assert words["exact"].startswith("pays: 2.00 times as fast as the original")
    assert words["F16, the original"] == "the reference"
    assert words["lossy"].startswith("faster: 3.00 times the original in one sequence; loses: KL 0.300 nats")
    assert "faster than exact, which is closer to the original, in only 2 of 3 rounds" in words["unclear"]
    assert "lossy, which is closer to the original, is no slower" in words["slow"]
    assert "only 20 % of slow's weights have fast kernels" in words["slow"]
    assert words["odd"] == "was not made: no reason"


def test_a_table_that_is_only_looked_up_is_no_part_of_the_mixture(tmp_path: Path) -> None:
    header = read_header(write_tiny_llama(tmp_path / "tiny.gguf"))
    assert mixture(header) == {"F16": 1.0}
    table, *others = header.tensors
    assert table.name == "token_embd.weight"
    odd = replace(table, type="Q8_0")
    assert mixture(replace(header, tensors=(odd, *others))) == {"F16": 1.0}
    tied = [tensor for tensor in others if tensor.name != "output.weight"]
    assert mixture(replace(header, tensors=(odd, *tied))).keys() == {"F16", "Q8_0"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("models") / "tiny.F16.gguf")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """ALL_SPEEDS instead of measured ones, a short text, an idle host, and a look at temporary folders; gives what was
    timed, in its order."""
    timed: list[str] = []

    def round_of(job: Job) -> Round:
        timed.append(quant := read_header(Path(job.path)).quant or "")
        return Round(Rates(*[ALL_SPEEDS[quant]] * 3), 1 << 20)

    text = perplexity.sample_text()[:800]
    monkeypatch.setattr(perplexity, "sample_text", lambda: text)
    monkeypatch.setattr(measure, "measure_round", round_of)
    monkeypatch.setattr(measure, "disturbances", lambda use: [])
    monkeypatch.setattr(command, "measure_peaks", lambda threads: PEAKS)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return timed


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run_command(parser.parse_args(["quants", *map(str, words)]))


def measured(tmp_path: Path) -> QuantsPart:
    part = read_result(tmp_path / "out").quants
    assert part
    return part


def test_all_forms_take_turns_and_are_read_against_the_original(
    tiny: Path, known: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny, "--out", tmp_path / "out") == 0
    assert known == list(SPEEDS) * 3
    part = measured(tmp_path)
    assert [each.quant for each in part.forms] == list(SPEEDS)
    assert part.original.quality is None
    losses = {each.quant: each.quality.divergence for each in part.forms if each.quality}
    assert 0 < losses["Q8_0"] < losses["Q5_K_M"] < losses["Q4_0"]
    assert part.pareto == ["F16", "Q8_0", "Q4_0"]
    assert part.forms[2].mixture["Q5_K"] > 0.5
    assert part.kv_cache_bytes == 2 * 2 * (2 * 64) * 2 * 8 * 512, "layers, keys and values, width, bytes, cells"
    output = capsys.readouterr().out
    told = json.loads(output.splitlines()[-1])
    assert (told["best"], told["pareto"]) == (part.best, part.pareto)
    assert "Q4_K_M: does not pay: Q8_0, which is closer to the original, is no slower" in output
    assert not list((tmp_path / "tmp").iterdir()), "the forms were temporary"
    blocks = [block for section in sections(read_result(tmp_path / "out")) for block in section.blocks]
    [plot] = [block for block in blocks if isinstance(block, LinePlot)]
    on_line, others, line = plot.series
    assert (on_line.labels, line.x) == (("Q8_0", "Q4_0"), on_line.x)
    assert set(others.labels) == {"Q5_K_M", "Q4_K_M"}
    assert on_line.y == (20.0, 30.0)
    assert [limit.value for limit in plot.limits] == [10.0], "the original has no divergence, only a height"


def test_kept_files_are_taken_the_next_time(tiny: Path, known: list[str], tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert run(tiny, "--to", "q4_0", "--keep", kept, "--out", tmp_path / "out") == 0
    [file] = kept.iterdir()
    before = file.stat().st_mtime_ns
    assert run(tiny, "--to", "q8_0,q4_0", "--keep", kept, "--out", tmp_path / "other") == 0
    assert file.stat().st_mtime_ns == before
    assert {path.name for path in kept.iterdir()} == {"tiny.Q8_0.gguf", "tiny.Q4_0.gguf"}


def test_an_interrupt_keeps_what_was_measured_and_no_file(
    tiny: Path, known: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_of = measure.measure_round

    def interrupt(job: Job) -> Round:
        if len(known) == 3:
            raise KeyboardInterrupt
        return round_of(job)

    monkeypatch.setattr(measure, "measure_round", interrupt)
    assert run(tiny, "--to", "Q8_0", "--out", tmp_path / "out") == EXIT_INTERRUPTED
    part = measured(tmp_path)
    assert [len(each.rounds) for each in part.forms] == [2, 1]
    assert (part.best, part.pareto) == (None, None)
    assert not list((tmp_path / "tmp").iterdir())
    assert "n/a" in (tmp_path / "out/report.md").read_text()


def test_sigterm_ends_it_as_an_interrupt_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_cannot_be_made_is_told_and_the_others_are_measured(
    tiny: Path, known: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse_q4_0(path: Path, target: Path, type: str, *_: object) -> None:
        if type == "Q4_0":
            raise StoreError("tiny cannot be quantized to Q4_0: no reason")
        real(path, target, type)

    real = quantizer.quantize
    monkeypatch.setattr(quantizer, "quantize", refuse_q4_0)
    assert run(tiny, "--to", "Q4_0,Q8_0,F16", "--out", tmp_path / "out") == 0
    part = measured(tmp_path)
    assert [each.quant for each in part.forms] == ["F16", "Q8_0"]
    assert part.not_made == {"Q4_0": "tiny cannot be quantized to Q4_0: no reason"}
    assert "Q4_0: was not made: tiny cannot be quantized" in capsys.readouterr().out
    with pytest.raises(StoreError, match="no reason"):
        run(tiny, "--to", "Q4_0", "--out", tmp_path / "none")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "F16"], "is F16 already"),
        (["--to", "Q8_0,Q9_9"], "'Q9_9' is no quantization"),
        (["--rounds", "2"], "at least 3"),
        (["--sequences", "1"], "from 2 to 256"),
        (["--sequences", "257"], "from 2 to 256"),
    ],
)
def test_a_question_without_an_answer_is_refused(
    tiny: Path, known: list[str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    with pytest.raises(CoreError, match=words):
        run(tiny, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_host_without_room_is_told_before_anything_is_made(
    tiny: Path, known: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "available_memory", lambda: 1000)
    with pytest.raises(BenchError, match=r"measuring takes \d+ MiB of memory and 0 are free"):
        run(tiny, "--out", tmp_path / "out")
    monkeypatch.setattr("shutil.disk_usage", lambda _: argparse.Namespace(free=1000))
    with pytest.raises(StoreError, match="no room on the disk"):
        run(tiny, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_whole_text_model_is_refused(tiny: Path, known: list[str], tmp_path: Path) -> None:
    write_gguf(tmp_path / "embedder.gguf", "bert", pooling=gguf.PoolingType.MEAN)
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (tmp_path / "text.gguf").write_text("no weights")
    for file, words in {
        "embedder.gguf": "writes no text",
        "part.gguf": "one of 3 parts",
        "text.gguf": "GGUF",
        "nobody": "no model 'nobody'",
    }.items():
        with pytest.raises(CoreError, match=words):
            run(tmp_path / file if "." in file else file, "--models", tmp_path / "tmp", "--out", tmp_path / "out")


def test_a_model_of_the_folder_is_measured_by_its_name(tiny: Path, known: list[str], tmp_path: Path) -> None:
    (tiny.parent / "tiny.yaml").write_text("name: small\nparameters: {model: tiny.F16.gguf}\n")
    assert run("small", "--models", tiny.parent, "--to", "Q8_0", "--out", tmp_path / "out") == 0
    result = read_result(tmp_path / "out")
    assert result.model_name == "small"
    assert result.model
    assert result.model.file == "tiny.F16.gguf"


def test_a_round_is_a_process_of_its_own_that_tells_its_memory(tiny: Path) -> None:
    found = measure_round(Job(str(tiny), sequences=2))
    assert min(found.rates.prefill, found.rates.single, found.rates.batch) > 0
    assert found.peak_bytes > tiny.stat().st_size
    with pytest.raises(BenchError, match=r"measuring gone\.gguf failed: .*ModelUnusable: gone\.gguf"):
        measure_round(Job(str(tiny.with_name("gone.gguf")), sequences=2))


@pytest.mark.weights
def test_where_rows_fit_no_k_block_the_real_mixture_is_told(
    models_folder: Path, known: list[str], tmp_path: Path
) -> None:
    """SmolLM2 is 576 wide, which is no multiple of 256."""
    arguments = ("--models", models_folder, "--to", "Q4_K_M", "--out", tmp_path / "out")
    assert run("smollm2-135m-instruct", *arguments) == 0
    mixed = measured(tmp_path).forms[1].mixture
    assert mixed["Q4_K"] < 0.5 < mixed["Q5_0"]
    report = (tmp_path / "out/report.md").read_text()
    assert "Q4_K_M is mostly Q5_0 here" in report
    assert "Q4_1, which is quantized itself" in report
