from __future__ import annotations

from pathlib import Path

import pytest

from core.config.folder import Problem, read_folder
from tests.small_gguf import write_gguf


def problems(root: Path, text: str) -> list[Problem]:
    write_gguf(root / "x.gguf")
    (root / "m.yaml").write_text(f"name: m\nparameters: {{model: x.gguf}}\n{text}")
    return read_folder(root).problems


def test_of_a_config_for_an_engine_that_we_lack_only_that_is_said(tmp_path: Path) -> None:
    text = "backend: diffusers\nstep: 20\ncutwords: [x]\ntemplate: {chat: nowhere}"
    [problem] = problems(tmp_path, text)
    assert (problem.key, problem.severity, problem.line) == ("backend", "error", 3)


def test_files_to_download_are_named_only_where_they_are_not_there(tmp_path: Path) -> None:
    text = "download_files:\n- {filename: x.gguf, uri: 'hf://a/b/x.gguf'}\n- {filename: y.bin, uri: 'hf://a/b/y.bin'}"
    [problem] = problems(tmp_path, text)
    assert problem.message == "y.bin: not fetched at start: run `warmfn pull hf://a/b/y.bin`"
    assert problem.severity == "warning"


def test_a_whole_config_of_the_classic_folder_has_no_problem(tmp_path: Path) -> None:
    (tmp_path / "x.gguf.tmpl").write_text("{{.Input}}")
    text = (
        "backend: llama\ncontext_size: 2048\nf16: true\nthreads: 4\ngpu_layers: 99\nmmap: true\n"
        "roles: {user: 'USER:', system: 'SYSTEM:'}\nstopwords: ['HUMAN:']\ntrimsuffix: [\"\\n\"]\nusage: |\n  curl\n"
    )
    assert problems(tmp_path, text) == []


OWN = "template: {use_tokenizer_template: true}\n"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("system_prompt: x\nroles: {user: y}", ["system_prompt", "roles"]),
        (f"{OWN}system_prompt: x\nroles: {{user: y}}", ["system_prompt", "roles"]),
        ("system_prompt: x\ntemplate: {completion: '{{.SystemPrompt}}{{.Input}}'}", []),
        ("system_prompt: x\nroles: {user: y}\ntemplate: {chat: '{{.Input}}'}", ["system_prompt"]),
        ("roles: {user: y}\ntemplate: {chat_message: '{{.RoleName}}{{.Content}}'}", ["roles"]),
        ("roles: {user: y}\ntemplate: {chat_message: '{{.Role}}{{.Content}}'}", []),
        ("roles: {user: y}\ncompat: strict", []),
        ("system_prompt: x\nroles: {user: y}\nembeddings: true", []),
    ],
)
def test_texts_that_no_prompt_shows_are_told(tmp_path: Path, text: str, keys: list[str]) -> None:
    found = problems(tmp_path, text)
    assert [problem.key for problem in found] == keys
    assert {problem.severity for problem in found} <= {"warning"}
