"""`warmfn pull`, `warmfn add` and models/download_model.sh, as a person runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from handlers.cli import main
from tests.small_gguf import write_gguf
from tests.web import Web

SCRIPT = Path(__file__).parents[1] / "models/download_model.sh"
GALLERY = """
good: {{description: good, license: MIT, quant: Q4_K_M, files: [{{source: "{url}/w.gguf", sha256: {sha256}}}]}}
bad: {{description: bad, license: MIT, files: [{{source: "{url}/absent.gguf"}}]}}
"""


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return write_gguf(tmp_path / "w.gguf").read_bytes()


@pytest.fixture
def web(weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.gguf": weights, "/other.gguf": weights}) as web:
        yield web


@pytest.fixture
def models(web: Web, weights: bytes, tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    gallery = GALLERY.format(url=web.url, sha256=sha256(weights).hexdigest())
    (folder / "gallery.yaml").write_text(gallery)
    return folder


def test_one_that_fails_does_not_stop_the_others(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "bad", "nothing", "good", "--models", str(models)]) == 1
    output = capsys.readouterr()
    assert f"{models}/w.gguf: fetched; its SHA-256 is that of {models}/gallery.yaml" in output.out
    assert "warmfn: bad: http://127.0.0.1" in output.err
    assert f"warmfn: {models}/gallery.yaml has no model 'nothing'" in output.err


def test_a_file_that_nobody_verified_is_said_to_be_so(
    models: Path, web: Web, weights: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", f"{web.url}/other.gguf", "--models", str(models)]) == 0
    expected = f"other.gguf: fetched; no verified SHA-256 is known for it; got {sha256(weights).hexdigest()}"
    assert expected in capsys.readouterr().out


def test_a_page_in_the_place_of_weights_is_told(models: Path, web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    web.files["/page.gguf"] = b"<!doctype html><title>Log in</title>"
    assert main(["pull", f"{web.url}/page.gguf", "--models", str(models)]) == 1
    assert "page.gguf is a web page, not weights" in capsys.readouterr().err


def test_the_list_shows_what_is_there(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pull", "good", "--models", str(models)])
    capsys.readouterr()
    assert main(["pull", "--list", "--models", str(models)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["name", "what", "size", "quant", "licence", "memory", "present"]
    assert lines[1][-1] == "yes"
    assert lines[2] == ["bad", "bad", "unknown", "-", "MIT", "unknown", "until", "pulled", "no"]


def test_the_list_is_there_for_machines_too(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pull", "good", "--models", str(models)])
    capsys.readouterr()
    assert main(["pull", "--list", "--json", "--models", str(models)]) == 0
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["name"], good["quant"], good["state"], good["memory"]["slots"]) == ("good", "Q4_K_M", "yes", 4)
    assert good["memory"]["total"] == good["memory"]["weights"] + 4 * good["memory"]["kv_per_slot"]
    assert (bad["memory"], bad["size"]) == (None, None)


@pytest.mark.parametrize("arguments", [[], ["--json"], ["good", "--list"]])
def test_a_pull_of_nothing_is_a_mistake(models: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["pull", *arguments, "--models", str(models)])


def test_ctrl_c_says_how_to_go_on(
    models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        (models / ".w.gguf.part").write_bytes(bytes(2_000_000))
        raise KeyboardInterrupt

    monkeypatch.setattr("core.store.pull.fetch", interrupted)
    assert main(["pull", "good", "--models", str(models)]) == 130
    assert "interrupted; 2.0 MB are kept: the same command goes on from there" in capsys.readouterr().err


def test_add_shows_what_it_wrote(models: Path, web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", f"{web.url}/w.gguf", "--name", "mine", "--models", str(models)]) == 0
    output = capsys.readouterr().out
    assert (models / "mine.yaml").read_text() in output
    assert main(["add", f"{web.url}/w.gguf", "--name", "mine", "--models", str(models)]) == 1
    assert "is not overwritten" in capsys.readouterr().err


def run_script(script: Path, *arguments: str, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": path}
    return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A copy in a folder that no virtual environment is near."""
    folder = tmp_path / "a folder" / "models"
    folder.mkdir(parents=True)
    return Path(shutil.copy(SCRIPT, folder))


def test_the_script_explains_itself(script: Path) -> None:
    assert "NAME|URL" in run_script(script, "-h").stdout
    assert run_script(script).returncode == 2


def test_the_script_pulls_into_its_own_folder(script: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    warmfn = tmp_path / "bin/warmfn"
    warmfn.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    warmfn.chmod(0o755)
    result = run_script(script, "good", "bad", path=f"{tmp_path}/bin:{os.defpath}")
    assert result.stdout.splitlines() == ["pull", "--models", str(script.parent), "good", "bad"]


def test_the_script_says_where_warmfn_is_missing(script: Path) -> None:
    result = run_script(script, "good")
    assert result.returncode == 1
    assert "no warmfn on the PATH" in result.stderr
