"""The order in which a folder's models are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config.folder import read_folder
from handlers.boot import _all


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A GGUF of each kind and a folder of weights; `missing` has none."""
    for name in ("chat", "embedder"):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF")
    (tmp_path / "torch").mkdir()
    (tmp_path / "a-torch.yaml").write_text("embeddings: true\nparameters: {model: torch}\n")
    (tmp_path / "b-chat.yaml").write_text("parameters: {model: chat.gguf}\n")
    (tmp_path / "c-embedder.yaml").write_text("embeddings: true\nparameters: {model: embedder.gguf}\n")
    (tmp_path / "d-missing.yaml").write_text("embeddings: true\nparameters: {model: missing.gguf}\n")
    return tmp_path


def test_what_loads_quickest_is_loaded_first_and_what_is_not_here_waits_for_a_pull(models: Path) -> None:
    assert _all(read_folder(models), pulled=()) == ["c-embedder", "b-chat", "a-torch"]


def test_what_has_to_be_pulled_comes_last(models: Path) -> None:
    names = ["c-embedder", "b-chat", "a-torch", "d-missing"]
    assert _all(read_folder(models), pulled=("d-missing", "b-chat")) == names


def test_where_nothing_is_here_everything_is_tried_so_that_it_shows(models: Path) -> None:
    for file in models.glob("*.gguf"):
        file.unlink()
    (models / "torch").rmdir()
    assert len(_all(read_folder(models), pulled=())) == 4
    assert _all(read_folder(models), pulled=("b-chat",)) == ["b-chat"]
