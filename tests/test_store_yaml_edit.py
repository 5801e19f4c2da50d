"""Edits of a model's YAML: one value or one comment changes, everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StoreError
from core.store.yaml_edit import replace_comment, replace_model, rewrite

TEXT = """\
# A model.
name: m
parameters:
  model: "old.gguf"   # a file
  temperature: 0.2
"""


def test_only_the_models_file_changes() -> None:
    assert replace_model(TEXT, "m", "new.gguf") == TEXT.replace("old.gguf", "new.gguf")


def test_of_several_models_in_a_file_only_the_named_one_changes() -> None:
    text = "- name: a\n  parameters: {model: x.gguf}\n- name: b\n  parameters: {model: x.gguf}\n"
    assert replace_model(text, "b", "y.gguf") == text[: text.rindex("x.gguf")] + '"y.gguf"}\n'


@pytest.mark.parametrize(
    "text", ["name: m\n", "name: m\nparameters: {model: |\n x\n}\n", "name: m\nparameters: [", "- name: a\n- name: b\n"]
)
def test_what_cannot_be_changed_safely_is_told(text: str) -> None:
    with pytest.raises(StoreError, match=r"write `model: new\.gguf`"):
        replace_model(text, "m", "new.gguf")


def test_a_comment_takes_the_place_of_its_predecessor_and_of_nothing_else() -> None:
    once = replace_comment(TEXT, "`optimize m`: on Monday", ["a", "b"])
    other = replace_comment(once, "`optimize n`: on Monday", ["c"])
    assert once == TEXT + "# `optimize m`: on Monday\n#   a\n#   b\n"
    twice = replace_comment(other, "`optimize m`: on Tuesday", ["d"])
    assert twice == TEXT + "# `optimize n`: on Monday\n#   c\n# `optimize m`: on Tuesday\n#   d\n"


def test_rewriting_follows_a_link_and_keeps_the_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "m.yaml", tmp_path / "link.yaml"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    rewrite(link, "new")
    assert path.read_text() == "new"
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, path]
