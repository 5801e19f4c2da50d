"""A folder that is edited while it serves, on real weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.config.folder import read_folder
from core.service import Service
from core.watch import FolderWatch
from tests.serving import eventually

pytestmark = pytest.mark.weights

YAML = """
name: chat
parameters: {model: w.gguf, temperature: 0}
context_size: 512
stopwords: ["<|im_end|>"]
template: {chat_message: message, chat: chat}
"""
MESSAGE = "<|im_start|>{{.RoleName}}\n{{.Content}}<|im_end|>"
CHAT = "{{.Input}}\n<|im_start|>assistant\n"


class Served:
    """The folder, its service, and the watch that tells one of the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in {"chat.yaml": YAML, "message.tmpl": MESSAGE, "chat.tmpl": CHAT}.items():
            self.write(name, text)
        self.service = Service(read_folder(path))
        self.watch = FolderWatch(self.service.folder, lambda: read_folder(path), self.service.update)

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    def edit(self, name: str, text: str) -> None:
        self.write(name, text)
        for _ in range(3):
            self.watch.look()

    def open(self, **options: Any) -> Any:
        payload = {"model": "chat", "messages": [{"role": "user", "content": "Name the planets."}], "max_tokens": 20}
        return self.service.open("chat/completions", payload | options)

    def answer(self) -> str:
        [body] = self.open()
        return str(body["choices"][0]["message"]["content"])

    def facts(self) -> dict[str, Any]:
        return self.service.catalog.model("chat")


@pytest.fixture
def served(tmp_path: Path, models_folder: Path) -> Iterator[Served]:
    (tmp_path / "w.gguf").symlink_to(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    served = Served(tmp_path)
    yield served
    served.service.close()


def test_an_edited_template_counts_from_the_next_request_on_and_loads_nothing(served: Served) -> None:
    assert "Jupiter" in served.answer()
    with served.service.registry.using("chat") as before:
        pass
    served.edit("chat.tmpl", CHAT + "Sorry, but I")
    assert eventually(lambda: "Jupiter" not in served.answer())
    with served.service.registry.using("chat") as after:
        assert after is before


def test_a_request_that_runs_finishes_on_the_old_settings(served: Served) -> None:
    running = iter(served.open(stream=True, max_tokens=300, ignore_eos=True))
    next(running)
    served.edit("chat.yaml", YAML.replace("512", "256"))
    chunks = list(running)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert eventually(lambda: served.facts().get("context_size") == 256, seconds=20)
    assert "Jupiter" in served.answer()


def test_an_edit_that_cannot_be_loaded_is_told_and_the_old_version_serves(served: Served) -> None:
    served.answer()
    served.edit("chat.yaml", YAML.replace("512", "2000000000"))
    assert eventually(lambda: "KV cache" in served.facts().get("error", ""), seconds=20)
    assert served.facts()["context_size"] == 512
    assert "Jupiter" in served.answer()
    is_ready, details = served.service.catalog.readiness()
    assert is_ready
    assert "KV cache" in details["problems"][0]


def test_rope_settings_of_the_yaml_reach_the_model(served: Served) -> None:
    straight = served.answer()
    served.edit("chat.yaml", YAML.replace("temperature: 0", "temperature: 0, rope_freq_scale: 0.1"))
    assert eventually(lambda: served.answer() != straight, seconds=20)
