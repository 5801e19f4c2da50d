"""Edits of a models folder that is being served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.config.folder import ModelsFolder, read_folder
from core.watch import FolderWatch
from tests.serving import eventually
from tests.small_gguf import write_gguf

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


TEMPLATE = GOOD + "template: {chat: %s}\n"


@pytest.mark.parametrize("edit", ["name: [\n", GOOD % -7, TEMPLATE % (20, "nowhere"), TEMPLATE % (20, "'A {{.Nope}}'")])
def test_a_broken_edit_keeps_the_model_as_it_was_and_is_told(watched: Watched, edit: str) -> None:
    before = watched.watch._current.configs["good"]
    watched.write("good.yaml", edit)
    state = watched.look()
    assert state.configs["good"] == before
    assert any("served as it was before" in problem.message for problem in state.problems)
    assert any(problem.severity == "error" and problem.line for problem in state.problems)
    assert set(state.configs) == {"good"}


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


def test_weights_that_a_broken_edit_has_left_are_not_offered_beside_the_model(watched: Watched) -> None:
    write_gguf(watched.path / "weights")
    write_gguf(watched.path / "other")
    watched.write("good.yaml", "name: good\nparameters: {model: other}\ntemplate: {chat: nowhere}\n")
    state = watched.look()
    assert set(state.configs) == {"good"}
    assert state.configs["good"].parameters.model == "weights"


def test_an_edit_before_the_first_look_is_seen(watched: Watched) -> None:
    before = read_folder(watched.path)
    watched.write("good.yaml", GOOD % 77)
    watched.watch = FolderWatch(before, lambda: read_folder(watched.path), watched.states.append)
    assert watched.context_size() == 77


def test_a_missing_template_that_appears_deep_in_the_folder_is_seen(watched: Watched) -> None:
    (watched.path / "a/b").mkdir(parents=True)
    watched.write("good.yaml", GOOD % 20 + "template: {chat: a/b/c}\n")
    assert watched.context_size() == 10
    watched.write("a/b/c.tmpl", "{{.Input}}")
    assert watched.context_size() == 20


@pytest.mark.parametrize("name", ["weights", "a/weights"])
def test_other_weights_under_the_same_name_make_another_config(watched: Watched, name: str) -> None:
    (watched.path / "a").mkdir()
    (watched.path / "a/weights").write_bytes(b"GGUF")
    watched.write("good.yaml", GOOD.replace("weights", name) % 20)
    before = watched.look().configs["good"]
    (watched.path / name).write_bytes(b"GGUF and more")
    assert watched.look().configs["good"] != before


def test_errors_of_a_file_that_lost_its_name_do_not_hold_up_the_winner(watched: Watched) -> None:
    watched.write("a.yaml", "name: good\nslots: x\n")
    watched.write("good.yaml", GOOD % 30)
    assert watched.context_size() == 30


def test_a_look_that_fails_does_not_end_the_watch(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(folder: ModelsFolder) -> None:
        watched.states.append(folder)
        raise RuntimeError("no such luck")

    monkeypatch.setattr("core.watch.INTERVAL", 0.01)
    watched.watch = FolderWatch(read_folder(watched.path), lambda: read_folder(watched.path), fail)
    watched.watch.start()
    for size in (50, 60):
        watched.write("good.yaml", GOOD % size)
        assert eventually(lambda size=size: any(state.configs["good"].context_size == size for state in watched.states))
    watched.watch.close()
    assert "no such luck" in caplog.text
