from __future__ import annotations

from pathlib import Path

import pytest

from core.config.folder import ModelsFolder, read_folder
from core.errors import ModelUnusable

REPOSITORY = Path(__file__).parents[1]


def folder_of(path: Path, **files: str) -> ModelsFolder:
    for stem, text in files.items():
        (path / f"{stem}.yaml").write_text(text)
    return read_folder(path)


def said(folder: ModelsFolder) -> list[str]:
    return [str(problem).removeprefix(f"{folder.path}/") for problem in folder.problems]


def test_the_models_we_ship_are_read_without_a_word() -> None:
    folder = read_folder(REPOSITORY / "models")
    assert not folder.problems
    chat, embedding = folder.configs["smollm2-135m-instruct"], folder.configs["all-minilm-l6-v2"]
    assert (chat.context_size, chat.slots) == (4096, 8)
    assert embedding.embeddings
    assert embedding.parameters.model == "all-MiniLM-L6-v2"


def test_a_broken_file_is_named_with_line_and_key_and_spares_the_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: a\nparameters:\n  top_k: abc\n", b="name: b", c="x: [")
    assert list(folder.configs) == ["b"]
    assert said(folder)[0] == "a.yaml:3: parameters.top_k: 'abc' is not a whole number: write one such as 40"
    assert said(folder)[1].startswith("c.yaml:1: not valid YAML")
    assert {problem.severity for problem in folder.problems} == {"error"}


def test_every_mistake_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = "name: a\nslots: 300\ncontext_size: -5\nflash_attention: maybe\nroles: [x]\nsystem_prompt: {a: b}\nf16: 1"
    assert sorted(said(folder_of(tmp_path, a=text))) == [
        "a.yaml:2: slots: 300 is too large: give at most 256",
        "a.yaml:3: context_size: -5 is too small: give at least 1",
        "a.yaml:4: flash_attention: 'maybe' is not known: give 'auto', 'on' or 'off'",
        "a.yaml:5: roles: a list stands where a map belongs",
        "a.yaml:6: system_prompt: a map stands where text belongs",
        "a.yaml:7: f16: '1' is neither true nor false: write one of them",
    ]


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"name: \xff")
    (tmp_path / "b.yaml").symlink_to("nowhere")
    (tmp_path / "c.yaml").write_text("#" * 300_000)
    (tmp_path / "d.yaml").write_text("just words")
    (tmp_path / "e.yaml").touch()
    folder = read_folder(tmp_path)
    assert [problem.file for problem in folder.problems] == [str(tmp_path / f"{stem}.yaml") for stem in "abcde"]
    assert not folder.configs


def test_only_yaml_files_that_are_not_hidden_are_configs(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.YML", ".c.yaml", "gallery.yaml", "d.yaml.bak", "e.tmpl"):
        (tmp_path / name).write_text(f"name: {name}")
    (tmp_path / "f.yaml").mkdir()
    assert list(read_folder(tmp_path).configs) == ["a.yaml", "b.YML"]


def test_a_missing_folder_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="is not a folder"):
        read_folder(tmp_path / "nowhere")


def test_a_nameless_config_gets_the_name_of_its_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, phi="parameters: {model: x}")
    assert folder.configs["phi"].source == tmp_path / "phi.yaml"
    assert said(folder) == ["phi.yaml: name: is missing: the file's own name, 'phi', is used"]
    assert folder.problems[0].severity == "warning"


def test_of_two_models_of_one_name_the_last_is_served_and_both_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: same\nslots: 1", b="name: same\nslots: 2")
    assert folder.configs["same"].slots == 2
    assert "a.yaml" in str(folder.problems[0])
    assert "b.yaml" in str(folder.problems[0])


def test_a_file_may_hold_a_list_and_a_bad_item_spares_the_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="- name: x\n- name: y\n  slots: z\n- name: w")
    assert list(folder.configs) == ["x", "w"]
    assert said(folder) == ["a.yaml:3: 1.slots: 'z' is not a whole number: write one such as 40"]


def test_unknown_keys_are_ignored_and_a_file_cannot_say_where_it_lies(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: a\ncutwords: [x]\nroot: /etc\nsource: /etc/passwd\nparameters: {mmap: 1}")
    assert not folder.problems
    assert folder.configs["a"].root == tmp_path
    assert folder.configs["a"].source == tmp_path / "a.yaml"


def test_what_is_accepted_but_does_nothing_is_a_warning(tmp_path: Path) -> None:
    text = "name: a\nname: a\nmmproj: x\nstopwords:\n- Question:\n- ok\nparameters:\n  top_p: 80\n"
    folder = folder_of(tmp_path, a=text)
    assert folder.configs["a"].stopwords == ("ok",)
    assert {problem.severity for problem in folder.problems} == {"warning"}
    assert [(problem.line, problem.key) for problem in folder.problems] == [
        (2, "name"),
        (3, "mmproj"),
        (5, "stopwords.0"),
        (8, "parameters.top_p"),
    ]


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: a\r\nsystem_prompt: |\r\n  one\r\n  two\r\n")
    assert read_folder(tmp_path).configs["a"].system_prompt == "one\ntwo\n"
