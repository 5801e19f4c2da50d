"""`prefixes:` in a model's YAML, and the tokens that its prompts begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config.folder import ModelsFolder, read_folder
from core.config.model import ModelConfig
from core.prompt.prefixes import declared_prefixes
from core.prompt.prompts import Prompts
from tests.serving import FakeModel, FakeTemplate
from tests.small_gguf import write_gguf

SYSTEM = {"role": "system", "content": "Be brief."}


def read(folder: Path, prefixes: str) -> ModelsFolder:
    write_gguf(folder / "w.gguf")
    (folder / "m.yaml").write_text(f"name: m\nparameters: {{model: w.gguf}}\nprefixes:\n{prefixes}\n")
    return read_folder(folder)


def config(**prefix: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": Path("/nowhere"), "prefixes": [prefix]})


def text(tokens: list[int]) -> str:
    return bytes(token - 1 for token in tokens if token != FakeModel.bos).decode()


class WordModel(FakeModel):
    """Words are tokens, so that what follows the last word decides how it is cut."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        words = text.replace("\n", " \n ").split(" ")
        return [self.words.setdefault(word, len(self.words) + 1) for word in words]


class SystemInsideTemplate:
    """Puts the system message into the first question, as Llama 2 does."""

    def render(self, messages: Any) -> str:
        return "[" + "]".join(f"{message['content']}" for message in messages) + "]"


def test_a_prefix_is_text_a_file_or_messages(tmp_path: Path) -> None:
    (tmp_path / "document.txt").write_text("A long text\n")
    folder = read(tmp_path, "- Once upon\n- file: document.txt\n- messages: [{role: system, content: Be brief.}]")
    assert folder.problems == []
    text, file, chat = folder.configs["m"].prefixes
    assert (text.text, file.text, chat.messages[0].model_dump()) == ("Once upon", "A long text\n", SYSTEM)


def test_another_text_in_the_file_makes_another_config(tmp_path: Path) -> None:
    (tmp_path / "document.txt").write_text("one")
    before = read(tmp_path, "- file: document.txt").configs["m"]
    (tmp_path / "document.txt").write_text("two")
    assert read_folder(tmp_path).configs["m"] != before


@pytest.mark.parametrize(
    ("prefix", "key", "message"),
    [
        ("- file: ../secret", "prefixes.0.file", "not a path inside the models folder"),
        ("- {messages: [{role: user, content: x}], tools: [{}]}", "prefixes.0", "no template here takes tools"),
        ("- {text: x, file: y}", "prefixes.0", "one of three"),
        ("- {}", "prefixes.0", "one of three"),
        ("- {mesages: []}", "prefixes.0", "mesages: no such key"),
        ("- [x]", "prefixes.0", "has another form"),
        ("- messages: [{content: x}]", "prefixes.0.messages.0.role", ""),
    ],
)
def test_a_prefix_of_no_known_form_is_an_error_with_its_key(
    tmp_path: Path, prefix: str, key: str, message: str
) -> None:
    [problem] = read(tmp_path, prefix).problems
    assert (problem.severity, problem.key) == ("error", key)
    assert message in problem.message


@pytest.mark.parametrize(
    ("data", "message"),
    [(None, "no such file"), (b"", "is empty"), (b"\xff", "not UTF-8"), (b"x" * 5_000_000, "4 MiB")],
)
def test_a_file_that_cannot_be_read_is_named_and_the_model_served_without_it(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    if data is not None:
        (tmp_path / "document.txt").write_bytes(data)
    folder = read(tmp_path, "- Hello\n- file: document.txt")
    [problem] = folder.problems
    assert (problem.severity, problem.key) == ("warning", "prefixes.1.file")
    assert message in problem.message
    config = folder.configs["m"]
    assert declared_prefixes(config, Prompts(config, FakeTemplate()), FakeModel())[0].keys() == {"prefixes.0"}


def test_a_cache_path_without_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "old-cache").write_text("LocalAI's")
    folder = read(tmp_path, "- x\nprompt_cache_path: old-cache")
    assert [problem.key for problem in folder.problems] == ["prompt_cache_path"]
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\nprompt_cache_all: true\n")
    [problem] = read_folder(tmp_path).problems
    assert "name one in prompt_cache_path" in problem.message


def test_only_what_every_continuation_keeps_is_a_prefix_of_the_prompt() -> None:
    model = WordModel()
    own = config(text="the cat sat")
    declared, _ = declared_prefixes(own, Prompts(own, None), model)
    assert declared["prefixes.0"][1:] == [model.words["the"], model.words["cat"]], "'sat' may go on as 'satable'"


def test_messages_end_before_what_the_template_puts_behind_them() -> None:
    own = config(messages=[SYSTEM])
    declared, _ = declared_prefixes(own, Prompts(own, FakeTemplate()), FakeModel())
    assert text(declared["prefixes.0"]) == "s:Be brief."
    own = config(messages=[SYSTEM, {"role": "user", "content": "Read this: x"}])
    declared, _ = declared_prefixes(own, Prompts(own, FakeTemplate()), FakeModel())
    assert text(declared["prefixes.0"]) == "s:Be brief.;u:Read this: x"


def test_a_template_that_moves_messages_or_refuses_them_is_taken_as_it_is() -> None:
    own = config(messages=[SYSTEM])
    declared, _ = declared_prefixes(own, Prompts(own, SystemInsideTemplate()), FakeModel())
    assert text(declared["prefixes.0"]) == "[Be brief."
    declared, faults = declared_prefixes(own, Prompts(own, None), FakeModel())
    assert not declared
    assert "has no chat template" in faults["prefixes.0"]


def test_a_prefix_behind_something_that_changes_is_refused() -> None:
    own = config(messages=[SYSTEM])

    class DatedTemplate(SystemInsideTemplate):
        calls = 0

        def render(self, messages: Any) -> str:
            self.calls += 1
            return f"{self.calls}{super().render(messages)}"

    declared, faults = declared_prefixes(own, Prompts(own, DatedTemplate()), FakeModel())
    assert not declared
    assert "something before it that changes" in faults["prefixes.0"]
