from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.cli import main
from tests.small_gguf import write_gguf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "x.gguf", context=4096)
    (tmp_path / "good.yaml").write_text("name: good\nparameters: {model: x.gguf}\ntemplate: {chat: '{{.Input}}'}")
    return tmp_path


def test_a_table_shows_each_model_on_a_line_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a-name-that-is-longer-than-a-screen-" * 5
    (folder / "long.yaml").write_text(f"name: {long}\nparameters: {{model: x.gguf}}")
    assert main(["models", "--models", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "kind", "backend", "weights", "size", "context", "template", "problems"]
    assert lines[1].split()[:4] == ["good", "chat/completion", "llama-text", "x.gguf"]
    assert lines[1].split()[6:] == ["4096", "(trained)", "inline", "0"]
    assert lines[2].startswith(long)


def test_problems_follow_and_an_error_decides_the_exit_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("name: bad\nparameters:\n  model: nowhere.gguf")
    assert main(["models", "--models", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "missing" in out
    assert f"error: {folder}/bad.yaml:3: parameters.model: weights 'nowhere.gguf' are not in" in out


def test_json_is_one_object_with_every_model_and_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("name: bad\nslots: x")
    assert main(["models", "--models", str(folder), "--json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    assert (listed["path"], listed["ok"]) == (str(folder), False)
    [model], [problem] = listed["models"], listed["problems"]
    assert (model["name"], model["kind"], model["usable"], model["template"]) == ("good", "text", True, "inline")
    assert (problem["line"], problem["key"], problem["severity"], problem["model"]) == (2, "slots", "error", "bad")


def test_listing_loads_no_engine(folder: Path) -> None:
    code = (
        f"import sys; from handlers.cli import main; main(['models', '--models', {str(folder)!r}]);"
        "print([name for name in ('llama_cpp', 'torch', 'numpy', 're2', 'jinja2') if name in sys.modules])"
    )
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_model_of_the_gallery_that_waits_for_its_pull_is_no_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "later.yaml").write_text("name: later\nparameters: {model: later.gguf}")
    (folder / "gallery.yaml").write_text("later: {}")
    assert main(["models", "--models", str(folder)]) == 0
    assert "warning: " in (out := capsys.readouterr().out)
    assert "run `warmfn pull later`" in out
    assert main(["models", "--models", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {model["name"]: model["usable"] for model in listed["models"]} == {"good": True, "later": False}
