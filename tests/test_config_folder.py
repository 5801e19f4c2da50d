from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.config.folder import FolderDefaults, ModelsFolder, Problem, read_folder
from core.config.problem import NOT_MADE, NOT_PULLED
from core.errors import ModelUnusable
from tests.small_gguf import write_gguf

REPOSITORY = Path(__file__).parents[1]


def folder_of(path: Path, **files: str) -> ModelsFolder:
    for stem, text in files.items():
        (path / f"{stem}.yaml").write_text(text)
    return read_folder(path)


def about_files(folder: ModelsFolder) -> list[Problem]:
    """All but that there are no weights, of which these tests have none."""
    absent = ("weights ", NOT_PULLED, NOT_MADE)
    return [problem for problem in folder.problems if not problem.message.startswith(absent)]


def said(folder: ModelsFolder) -> list[str]:
    return [str(problem).removeprefix(f"{folder.path}/") for problem in about_files(folder)]


def test_the_models_we_ship_are_read_without_a_word() -> None:
    folder = read_folder(REPOSITORY / "models")
    assert not about_files(folder)
    chat, embedding = folder.configs["smollm2-135m-instruct"], folder.configs["all-minilm-l6-v2"]
    assert (chat.context_size, chat.slots) == (4096, 8)
    assert embedding.embeddings
    assert embedding.parameters.model == "all-MiniLM-L6-v2"


def test_a_broken_file_is_named_with_line_and_key_and_spares_the_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: a\nparameters:\n  top_k: abc\n", b="name: b", c="x: [")
    assert list(folder.configs) == ["b"]
    assert said(folder)[0] == "a.yaml:3: parameters.top_k: 'abc' is not a whole number: write one such as 40"
    assert said(folder)[1].startswith("c.yaml:1: not valid YAML")
    assert {problem.severity for problem in about_files(folder)} == {"error"}


def test_every_mistake_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = "name: a\nslots: 300\ncontext_size: -5\nflash_attention: maybe\nroles: [x]\nsystem_prompt: {a: b}\nf16: 1"
    assert sorted(said(folder_of(tmp_path, a=text))) == [
        "a.yaml:2: slots: 300 is too large: give at most 256",
        "a.yaml:3: context_size: -5 is too small: give at least 1",
        "a.yaml:4: flash_attention: 'maybe' is not known: give 'auto', 'on' or 'off'",
        "a.yaml:5: roles: a list stands here: write a map",
        "a.yaml:6: system_prompt: a map stands here: write text",
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
    assert about_files(folder)[0].severity == "warning"


def test_of_two_models_of_one_name_the_last_is_served_and_both_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: same\nslots: 1", b="name: same\nslots: 2")
    assert folder.configs["same"].slots == 2
    assert said(folder) == [
        f"b.yaml: name: 'same' is also the name of a model in {tmp_path}/a.yaml: this one is served, rename one"
    ]


def test_a_file_may_hold_a_list_and_a_bad_item_spares_the_others(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="- name: x\n- name: y\n  slots: z\n- name: w")
    assert list(folder.configs) == ["x", "w"]
    assert said(folder) == ["a.yaml:3: 1.slots: 'z' is not a whole number: write one such as 40"]


def test_a_file_cannot_say_where_it_lies(tmp_path: Path) -> None:
    text = "name: a\nroot: /etc\nsource: /etc/passwd\ntemplates: {chat: x}\ntrained_context: true"
    config = folder_of(tmp_path, a=text).configs["a"]
    assert (config.root, config.source) == (tmp_path, tmp_path / "a.yaml")
    assert not config.templates
    assert not config.trained_context


def test_what_is_accepted_but_does_nothing_is_a_warning(tmp_path: Path) -> None:
    text = "name: a\nname: a\nmmproj: x\nstopwords:\n- Question:\n- ok\nparameters:\n  top_p: 80\n"
    folder = folder_of(tmp_path, a=text)
    assert folder.configs["a"].stopwords == ("ok",)
    assert {problem.severity for problem in about_files(folder)} == {"warning"}
    assert [(problem.line, problem.key) for problem in about_files(folder)] == [
        (2, "name"),
        (3, "mmproj"),
        (5, "stopwords.0"),
        (8, "parameters.top_p"),
    ]


def test_a_yaml_that_is_no_models_is_said_to_be_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, compose="services:\n  web: {image: x}\n", empty="{}")
    assert not folder.configs
    assert said(folder) == [
        "compose.yaml: holds no model: write `name:` and `parameters:` with a `model:` into it",
        "empty.yaml: holds no model: write `name:` and `parameters:` with a `model:` into it",
    ]


def test_regular_expressions_that_are_none_are_left_out(tmp_path: Path) -> None:
    text = "name: a\ncutstrings:\n- '[a-z]+'\n- '(?<=x)y'\nextract_regex: '('\n"
    folder = folder_of(tmp_path, a=text)
    config = folder.configs["a"]
    assert (config.cutstrings, config.extract_regex) == (("[a-z]+",), ())
    assert [(problem.line, problem.key, problem.severity) for problem in about_files(folder)] == [
        (4, "cutstrings.1", "warning"),
        (5, "extract_regex.0", "warning"),
    ]
    assert all("as Go has them" in line for line in said(folder))


def test_what_holds_for_the_folder_fills_what_a_file_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ncontext_size: 0")
    (tmp_path / "b.yaml").write_text("name: b\ncontext_size: 100\nthreads: 1\ncompat: strict\ndefaults: current")
    (tmp_path / "c.yaml").write_text("name: c\nembeddings: true")
    (tmp_path / "d.yaml").write_text("name: d\ncontext_size: -1")
    defaults = FolderDefaults(threads=4, context_size=2048, defaults="v2.8")
    folder = read_folder(tmp_path, defaults)
    assert folder.defaults is defaults
    a, b, c, d = folder.configs.values()
    assert (a.context_size, a.threads, a.compat, a.defaults) == (2048, 4, None, "v2.8")
    assert (b.context_size, b.threads, b.compat, b.defaults) == (100, 1, "strict", "current")
    assert (c.context_size, c.threads) == (None, 4)
    assert (d.context_size, d.wants_trained_context) == (None, True)


def test_reading_again_gives_equal_configs_until_a_file_changes(tmp_path: Path) -> None:
    first = folder_of(tmp_path, a="name: a\ntemplate: {chat: c}")
    assert read_folder(tmp_path).configs == first.configs
    (tmp_path / "c.tmpl").write_text("{{.Input}}")
    assert read_folder(tmp_path).configs != first.configs


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: a\r\nsystem_prompt: |\r\n  one\r\n  two\r\n")
    assert read_folder(tmp_path).configs["a"].system_prompt == "one\ntwo\n"


def test_a_name_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="name: [x]", b="name: {x: y}")
    assert said(folder) == [
        "a.yaml:1: name: a list stands here: write text",
        "b.yaml:1: name: a map stands here: write text",
    ]
    assert not folder.configs


def test_a_long_value_is_shown_by_its_ends(tmp_path: Path) -> None:
    [line] = said(folder_of(tmp_path, a=f"name: a\nslots: {'x' * 5000}\n"))
    assert len(line) < 250
    assert "xxx...xxx" in line


def test_problems_of_another_files_model_of_that_name_are_not_its_own(tmp_path: Path) -> None:
    write_gguf(tmp_path / "x.gguf")
    good = "name: same\nparameters: {model: x.gguf}"
    folder = folder_of(tmp_path, a=f"{good}\ntemplate: {{chat: nowhere}}", b="name: same\nslots: x", c=good)
    assert folder.configs["same"].source == tmp_path / "c.yaml"
    errors = [problem for problem in folder.problems if problem.severity == "error"]
    assert [(Path(problem.file).name, problem.model) for problem in errors] == [("a.yaml", None), ("b.yaml", None)]


def test_weights_that_a_broken_file_names_are_no_model_of_their_own(tmp_path: Path) -> None:
    for name in ("x.gguf", "y.gguf", "my-x.gguf"):
        write_gguf(tmp_path / name)
    folder = folder_of(tmp_path, a="name: a\nparameters: {model: x.gguf", b="name: b\nslots: z\nmodel: ./y.gguf")
    assert list(folder.configs) == ["my-x.gguf"]


def test_names_and_texts_that_no_reply_could_carry_are_told_and_passed_over(tmp_path: Path) -> None:
    write_gguf(tmp_path / os.fsdecode(b"bad\xff.gguf"))
    (tmp_path / os.fsdecode(b"bad\xff.yaml")).write_text("name: a")
    folder = folder_of(tmp_path, b='name: "\\ud800"')
    assert not folder.configs
    assert [problem.file for problem in folder.problems][:2] == [r"'bad\udcff.gguf'", r"'bad\udcff.yaml'"]
    assert "half a character" in folder.problems[2].message
    "".join(map(str, folder.problems)).encode()


def test_links_in_a_circle_and_pipes_cost_only_themselves(tmp_path: Path) -> None:
    for name in ("loop", "loop.gguf", "loop.yaml"):
        (tmp_path / name).symlink_to(name)
    for name in ("pipe.gguf", "pipe"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "pipe.yaml").symlink_to("pipe")
    folder = folder_of(tmp_path, a="name: a\nparameters: {model: loop}", b="name: b\nparameters: {model: pipe.gguf}")
    assert list(folder.configs) == ["a", "b"]
    assert [Path(problem.file).name for problem in about_files(folder)] == [
        *("b.yaml", "loop.yaml", "pipe.yaml", "loop.gguf"),
    ]
