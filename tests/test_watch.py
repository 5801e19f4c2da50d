"""Edits of a models folder that is being served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.config.folder import ModelsFolder, read_folder
from core.watch import FolderWatch

GOOD = "name: good\nparameters: {model: weights}\ncontext_size: %d\n"


class Watched:
    """A folder, its watch, and every state of the folder that was passed on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "weights").write_bytes(b"GGUF")
        self.write("good.yaml", GOOD % 10)
        self.states: list[ModelsFolder] = []
        self._tick = 0
        self.watch = FolderWatch(read_folder(path), lambda: read_folder(path), self.states.append)

    def write(self, name: str, text: str) -> None:
        self.path.joinpath(name).parent.mkdir(exist_ok=True)
        self.path.joinpath(name).write_text(text)

    def look(self) -> ModelsFolder:
        """The state after the watch has had time to see it."""
        for _ in range(3):
            self.watch.look()
        return self.states[-1]

    def context_size(self) -> int | None:
        return self.look().configs["good"].context_size


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_nothing_is_passed_on_while_nothing_changes(watched: Watched) -> None:
    for _ in range(3):
        watched.watch.look()
    assert watched.states == []


def test_a_changed_file_is_read_again(watched: Watched) -> None:
    watched.write("good.yaml", GOOD % 2000)
    assert watched.context_size() == 2000


def test_a_file_that_is_still_being_written_is_left_alone(watched: Watched) -> None:
    for size in range(5):
        watched.write("good.yaml", GOOD % 10 + "#" * (size + 1))
        watched.watch.look()
    assert watched.states == []


def test_new_and_removed_models_come_and_go(watched: Watched) -> None:
    watched.write("new.yaml", "name: new\nparameters: {model: weights}\n")
    assert set(watched.look().configs) == {"good", "new"}
    os.remove(watched.path / "good.yaml")
    assert set(watched.look().configs) == {"new"}


def test_a_renamed_model_leaves_no_ghost(watched: Watched) -> None:
    watched.write("good.yaml", "name: better\nparameters: {model: weights}\n")
    assert set(watched.look().configs) == {"better"}


def test_a_changed_template_counts_as_an_edit(watched: Watched) -> None:
    watched.write("tpl/chat.tmpl", "{{.Input}} one")
    watched.write("good.yaml", GOOD % 10 + "template: {chat: tpl/chat}\n")
    assert watched.look().configs["good"].templates["chat"].text == "{{.Input}} one"
    watched.write("tpl/chat.tmpl", "{{.Input}} two!")
    assert watched.look().configs["good"].templates["chat"].text == "{{.Input}} two!"


@pytest.mark.parametrize("edit", ["name: [\n", GOOD % -7, GOOD % 20 + "template: {chat: nowhere}\n"])
def test_a_broken_edit_keeps_the_model_as_it_was_and_is_told(watched: Watched, edit: str) -> None:
    before = watched.watch._current.configs["good"]
    watched.write("good.yaml", edit)
    state = watched.look()
    assert state.configs["good"] == before
    assert any("served as it was before" in problem.message for problem in state.problems)
    assert any(problem.severity == "error" and problem.line for problem in state.problems)


def test_a_second_broken_edit_still_keeps_it_and_a_mended_one_counts(watched: Watched) -> None:
    for edit in ("name: [\n", "name: [[\n"):
        watched.write("good.yaml", edit)
        assert watched.context_size() == 10
    watched.write("good.yaml", GOOD % 3000)
    assert watched.context_size() == 3000
    assert watched.states[-1].problems == []


def test_a_model_that_never_worked_is_not_kept(watched: Watched) -> None:
    watched.write("bad.yaml", "name: bad\nparameters: {model: weights}\ntemplate: {chat: nowhere}\n")
    watched.look()
    watched.write("bad.yaml", "name: [\n")
    assert "bad" not in watched.look().configs
