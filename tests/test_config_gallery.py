from __future__ import annotations

from pathlib import Path

from core.config.folder import read_folder

DEFINITION = """\
name: airo
description: a definition as LocalAI's gallery has them
license: none
config_file: |
  backend: llama
  context_size: 1024
  parameters:
    model: airo.bin
    top_k: {top_k}
  template:
    chat: airo-chat
    completion: airo-completion
prompt_templates:
- name: airo-chat
  content: |
    A chat.
    {chat}
- name: airo-completion
  content: "{{{{.Input}}}}"
files:
- filename: airo.bin
  uri: https://host/airo.bin
"""


def write(root: Path, top_k: str = "80", chat: str = "{{.Input}}") -> None:
    (root / "airo.yaml").write_text(DEFINITION.format(top_k=top_k, chat=chat))


def test_a_definition_is_the_model_it_would_be_installed_as(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "airo.bin").write_bytes(b"GGUF")
    folder = read_folder(tmp_path)
    config = folder.configs["airo"]
    assert not folder.problems
    assert (config.context_size, config.parameters.top_k, config.source) == (1024, 80, tmp_path / "airo.yaml")
    assert {kind: source.text for kind, source in config.templates.items()} == {
        "chat": "A chat.\n{{.Input}}\n",
        "completion": "{{.Input}}",
    }
    assert config.templates["chat"].origin == f"{tmp_path}/airo.yaml: prompt_templates: airo-chat"


def test_mistakes_inside_a_definition_have_the_lines_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, top_k="many")
    [problem] = read_folder(tmp_path).problems
    assert (problem.line, problem.key, problem.model) == (9, "parameters.top_k", "airo")
    write(tmp_path, chat="{{if}}")
    assert [problem.line for problem in read_folder(tmp_path).problems if problem.key == "template.chat"] == [17]


def test_a_definition_without_a_config_or_with_a_broken_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nprompt_templates: []\n")
    (tmp_path / "b.yaml").write_text("name: b\nconfig_file: |\n  x: 1\n  y: ]\n")
    (tmp_path / "c.yaml").write_text('name: c\nconfig_file: "x: ["\n')
    folder = read_folder(tmp_path)
    assert [problem.line for problem in folder.problems] == [None, 4, 2]
    assert "has no config in it" in folder.problems[0].message


def test_missing_weights_of_a_definition_can_be_pulled_from_where_it_says(tmp_path: Path) -> None:
    write(tmp_path)
    [problem] = read_folder(tmp_path).problems
    assert "run `warmfn pull https://host/airo.bin`" in problem.message


def test_an_index_of_a_gallery_is_passed_over_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "index.yaml").write_text("- name: a\n  url: github:x/y/a.yaml\n- name: b\n  overrides: {}\n")
    folder = read_folder(tmp_path)
    assert not folder.configs
    assert [problem.severity for problem in folder.problems] == ["warning"]
    assert "models to install" in folder.problems[0].message
