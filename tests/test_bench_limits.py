"""Limits are measured on a model of random weights, written only where nobody disturbed, and read by the runner."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench import cli
from bench.commands import limits as command
from bench.errors import BenchError
from bench.limits.disturbance import disturbances
from bench.limits.measure import first_best, measure_limits
from bench.plan.shapes import Shape, header_of
from bench.plan.synthetic import write_synthetic
from bench.result import read_result
from bench.sample import HostUse
from core.config.folder import read_folder
from core.host import available_cpus
from core.limits import KvForm, limits_path, parse_limits
from core.runners import text_llama


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_synthetic(header_of(Shape("llama", 512, 64, 128, 2, 4, 2, 16, 300), "Q8_0"), folder / "tiny.gguf")
    lines = ("name: tiny", "parameters: {model: tiny.gguf}", "context_size: 400", "slots: 3", "flash_attention: off")
    (folder / "tiny.yaml").write_text("\n".join((*lines, 'template: {chat_message: "{{.Content}}"}', "")))
    return folder


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "disturbances", lambda use: [])


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run_command(parser.parse_args(["limits", *words]))


@pytest.mark.usefixtures("quiet")
def test_a_server_starts_from_what_was_written_beside_the_weights(models: Path, tmp_path: Path) -> None:
    assert run("tiny", "--models", str(models), "--out", str(tmp_path / "out")) == 0
    written = limits_path(models / "tiny.gguf")
    found = parse_limits(written)
    part = read_result(tmp_path / "out").limits
    assert part
    assert part.limits == found
    assert [(one.batch, one.depth) for one in found.decode] == [(b, d) for d in (16, 194) for b in (3, 2, 1)]
    assert [one.length for one in found.prefill] == [128]
    assert found.kv_form == KvForm(cache_type_k="f16", cache_type_v="f16", flash_attention="off")
    assert {one.threads for one in part.threads} >= {1, available_cpus()}
    runner = text_llama.load(read_folder(models).configs["tiny"])
    try:
        assert runner.speed.prefill == pytest.approx(found.prefill_tok_s)
        assert runner.limits.max_batch == found.batch
        runner.warm()
    finally:
        runner.close()
        written.unlink()


def test_beside_a_busy_neighbour_nothing_is_written_for_the_server(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = HostUse(client=1.0, target=0.0, idle_targets=0.0, neighbours=0.9, steal=0.0)
    monkeypatch.setattr(command, "disturbances", lambda use: disturbances(busy))
    assert run("tiny", "--models", str(models), "--out", str(tmp_path / "out")) == 1
    assert not limits_path(models / "tiny.gguf").exists()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["limits"] is None
    [flag] = read_result(tmp_path / "out").validity
    assert flag.text == "other processes of this host used 0.90 cores meanwhile: measure on an idle host"


def test_steal_disturbs_and_a_quiet_host_does_not() -> None:
    quiet = HostUse(client=2.0, target=0.0, idle_targets=0.0, neighbours=0.1, steal=0.0)
    assert disturbances(quiet) == []
    [flag] = disturbances(HostUse(client=2.0, target=0.0, idle_targets=0.0, neighbours=0.1, steal=0.5))
    assert flag.code == "steal"


def test_a_tie_goes_to_the_first() -> None:
    assert first_best([(1, 98.0), (2, 100.0)]) == 1
    assert first_best([(1, 90.0), (2, 100.0), (4, 101.0)]) == 2


def test_a_model_of_another_backend_has_no_limits(tmp_path: Path) -> None:
    folder = tmp_path / "st"
    folder.mkdir()
    for name, text in {"modules.json": "[]", "config.json": "{}", "model.safetensors": "x"}.items():
        (folder / name).write_text(text)
    (tmp_path / "e.yaml").write_text("name: e\nbackend: sentencetransformers\nparameters: {model: st}\n")
    with pytest.raises(BenchError, match="does not write text"):
        measure_limits(read_folder(tmp_path).configs["e"], print)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(models: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "absent" / "l.json"
    with pytest.raises(BenchError, match="cannot be written: choose another --file"):
        run("tiny", "--models", str(models), "--file", str(nowhere), "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_named(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="file cannot be made: File exists: choose another --out"):
        run("tiny", "--models", str(models), "--out", str(tmp_path / "file"))


@pytest.mark.usefixtures("quiet")
def test_a_result_that_knows_no_usable_context_is_refused(models: Path, tmp_path: Path) -> None:
    assert run("tiny", "--models", str(models), "--file", str(tmp_path / "l.json"), "--out", str(tmp_path / "a")) == 0
    with pytest.raises(BenchError, match="knows no usable context"):
        run("tiny", "--models", str(models), "--context", str(tmp_path / "a"), "--out", str(tmp_path / "b"))
