"""`warmfn doctor` on real weights' vocabularies, and on folders in which things are wrong."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from core.config.folder import read_folder
from core.doctor import examine
from core.llama import kernels
from core.runners import text_llama
from handlers.cli import main
from tests.tiny_llama import write_tiny_llama

CHATML = """
template:
  chat_message: "<|im_start|>{{.RoleName}}\\n{{.Content}}<|im_end|>"
  chat: "{{.Input}}\\n<|im_start|>assistant\\n"
"""
WRONG = """
template:
  chat: "[INST] {{.Input}} [/INST]"
"""


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path) -> Path:
    """SmolLM2 under two templates, one of them another model's, and a model that is not there."""
    (tmp_path / "w.gguf").symlink_to(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    for name, text in {"good": CHATML, "wrong": WRONG}.items():
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nparameters: {{model: w.gguf}}\n{text}")
    (tmp_path / "gone.yaml").write_text("name: gone\nparameters: {model: gone.gguf}\n")
    return tmp_path


@pytest.mark.weights
def test_each_model_is_examined_with_its_own_vocabulary(folder: Path) -> None:
    found = {diagnosis.model: " ".join(map(str, diagnosis.problems)) for diagnosis in examine(read_folder(folder))}
    assert "not told apart" in found["wrong"]
    assert "gone.gguf" in found["gone"]
    # ... although SmolLM2's own template begins with a system message where the conversation has none.
    assert found["good"] == ""


@pytest.mark.weights
def test_the_exit_status_and_the_json_are_made_for_ci(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--models", str(folder), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["model"]: line["fit"] for line in lines} == {"good": True, "wrong": True, "gone": False}
    assert main(["doctor", "good", "--models", str(folder)]) == 0
    assert main(["doctor", "good", "--models", str(folder), "--strict"]) == 0
    assert main(["doctor", "wrong", "--models", str(folder), "--strict"]) == 1


def test_a_folder_without_weights_is_examined_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.yaml").write_text("name: [\n")
    assert main(["doctor", "--models", str(tmp_path)]) == 1
    assert "broken.yaml:2" in capsys.readouterr().out


def test_missing_weights_are_told_once(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").write_text("name: gone\nparameters: {model: gone.gguf}\n")
    [diagnosis] = examine(read_folder(tmp_path))
    assert [problem.key for problem in diagnosis.problems] == ["parameters.model"]
    assert not diagnosis.is_fit


def test_a_model_that_is_not_there_is_an_error_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nobody", "--models", str(tmp_path)]) == 1
    assert "no model 'nobody'" in capsys.readouterr().err


def test_examining_a_damaged_file_finds_and_never_fails(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(b"GGUF" + b"\xff" * 200)
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\n")
    [diagnosis] = examine(read_folder(tmp_path), ["m"])
    assert not diagnosis.is_fit
    shutil.rmtree(tmp_path)


def test_advice_is_given_and_counts_as_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "system_info", lambda: "AVX = 1 | AVX2 = 1 | REPACK = 1 | LLAMAFILE = 1 | ")
    write_tiny_llama(tmp_path / "w.gguf")  # float16
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\ntemplate: {chat: '{{.Input}}'}\n")
    assert main(["doctor", "m", "--models", str(tmp_path)]) == 0
    assert "advice: most of its weights are F16" in capsys.readouterr().out
    main(["doctor", "m", "--models", str(tmp_path), "--json"])
    [said] = json.loads(capsys.readouterr().out)["advice"]
    assert "`warmfn optimize m`" in said


def test_a_load_logs_the_advice_and_leaves_faults_to_the_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "system_info", lambda: "AVX = 1 | AVX2 = 1 | REPACK = 1 | LLAMAFILE = 1 | ")
    write_tiny_llama(tmp_path / "w.gguf")
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\n")
    config = read_folder(tmp_path).configs["m"]
    with caplog.at_level(logging.INFO, "warmfn.text"):
        text_llama._log_advice(config)
        (tmp_path / "w.gguf").write_bytes(b"GGUF" + b"\xff" * 200)
        text_llama._log_advice(config)
    assert [record.message.startswith("m: most of its weights are F16") for record in caplog.records] == [True]
