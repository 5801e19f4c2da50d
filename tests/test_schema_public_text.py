"""What clients are told of files, and what they are not."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.loader import Runner
from core.schema.public_text import public_text
from core.service import Service
from tests.serving import Server, eventually


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/models/a.yaml:2: name: is missing", "a.yaml:2: name: is missing"),
        ("in '/models/t/x.tmpl'", "in 't/x.tmpl'"),
        ("not in /models: pull it", "not in the models folder: pull it"),
        ("put it into /models.", "put it into the models folder."),
        ("see /v1/models and https://h/models/x", "see /v1/models and https://h/models/x"),
        ("/models-old/a.yaml", "/models-old/a.yaml"),
    ],
)
def test_paths_are_seen_from_the_folder(text: str, shown: str) -> None:
    assert public_text(text, Path("/models")) == shown


def test_a_link_to_the_folder_hides_both_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = f"{tmp_path}/link/a.yaml {tmp_path}/real/b.yaml"
    assert public_text(text, tmp_path / "link") == "a.yaml b.yaml"


def test_no_answer_tells_where_the_folder_is_or_what_a_library_said(tmp_path: Path) -> None:
    def load(config: ModelConfig) -> Runner:
        raise ImportError(f"cannot import x from {os.__file__}")

    (tmp_path / "broken.yaml").write_text("name: [\n")
    (tmp_path / "gone.yaml").write_text("name: gone\nparameters: {model: gone.gguf}\n")
    (tmp_path / "m.yaml").write_text("name: m\nbackend: llama-cpp\n")
    service = Service(read_folder(tmp_path), load=load)
    service.registry.preload(["m"])
    assert eventually(lambda: service.registry.status("m").state == "failed")
    with Server(service) as server:
        asks = [httpx.get(server.url + path) for path in ("/v1/models", "/readyz", "/v1/models/nobody")]
        asks += [httpx.post(f"{server.url}/v1/completions", json={"model": m, "prompt": "x"}) for m in ("m", "nobody")]
    service.close()
    assert all(str(tmp_path) not in answer.text and os.__file__ not in answer.text for answer in asks)
    assert "broken.yaml" in asks[0].text
    assert "log" in asks[3].json()["error"]["message"]
