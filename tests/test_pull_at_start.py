"""PULL_MODELS: weights come while their model counts as loading."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StoreError
from handlers import pull_at_start
from handlers.pull_at_start import pull_model
from handlers.settings import Settings

ENTRY = "{name}:\n  description: a test\n  license: none\n  files:\n    - source: file:{source}\n"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder whose gallery has one model, `a`, with one file."""
    folder, source = tmp_path / "models", tmp_path / "weights.gguf"
    folder.mkdir()
    source.write_bytes(b"GGUF" * 1000)
    (folder / "gallery.yaml").write_text(ENTRY.format(name="a", source=source))
    return folder


def test_the_names_come_from_the_environment() -> None:
    assert Settings.from_environ({"PULL_MODELS": "a, b,"}).pull == ("a", "b")
    assert Settings.from_environ({}).pull == ()


def test_files_are_fetched_once_and_the_log_says_where_they_lie(
    models: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(pull_at_start, "SAY_EVERY", 0.0)
    pull_model("a", models)
    assert (models / "weights.gguf").read_bytes() == b"GGUF" * 1000
    assert any("weights.gguf is fetched" in message for message in caplog.messages)
    assert any(message.startswith("a: ") and message.endswith(" MB") for message in caplog.messages)
    caplog.clear()
    pull_model("a", models)
    assert any("is there already" in message for message in caplog.messages)


def test_a_name_that_the_gallery_lacks_is_an_error_that_names_those_it_has(models: Path) -> None:
    with pytest.raises(StoreError, match="it has: a"):
        pull_model("b", models)
