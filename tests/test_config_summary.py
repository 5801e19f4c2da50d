from __future__ import annotations

from pathlib import Path

import pytest

from core.config.folder import read_folder
from core.config.summary import Summary, other_problems, summarize
from tests.small_gguf import write_gguf


def summary(root: Path, text: str) -> Summary:
    (root / "m.yaml").write_text(f"name: m\n{text}")
    return next(found for found in summarize(read_folder(root)) if found.name == "m")


def test_a_model_is_told_from_its_yaml_and_its_header(tmp_path: Path) -> None:
    size = write_gguf(tmp_path / "x.gguf", context=4096, template="{{ messages }}").stat().st_size
    found = summary(tmp_path, "parameters: {model: x.gguf}\ncontext_size: 512")
    assert (found.kind, found.backend, found.weights, found.bytes) == ("text", "llama-text", "x.gguf", size)
    assert (found.context_size, found.trained_context, found.template) == (512, 4096, "weights")
    assert found.is_usable


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("", "none"),
        ("template: {chat: c}", "c.tmpl"),
        ("template: {chat: '{{.Input}}'}", "inline"),
        ("template: {chat: c, use_tokenizer_template: true}", "none"),
    ],
)
def test_it_says_where_prompts_come_from(tmp_path: Path, text: str, source: str) -> None:
    write_gguf(tmp_path / "x.gguf", template=None)
    (tmp_path / "c.tmpl").write_text("{{.Input}}")
    assert summary(tmp_path, f"parameters: {{model: x.gguf}}\n{text}").template == source


def test_an_embedding_folder_tells_its_longest_input(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    for name in ("modules.json", "config.json", "model.safetensors"):
        (tmp_path / "mini" / name).write_text("{}")
    (tmp_path / "mini/sentence_bert_config.json").write_text('{"max_seq_length": 256}')
    found = summary(tmp_path, "embeddings: true\nparameters: {model: mini}")
    assert (found.kind, found.backend, found.trained_context, found.bytes) == ("embedding", "torch-embedding", 256, 29)
    assert found.template is None


def test_missing_weights_and_damaged_headers_are_problems(tmp_path: Path) -> None:
    missing = summary(tmp_path, "parameters: {model: x.gguf}")
    assert (missing.weights, missing.bytes, missing.is_usable) == (None, None, False)
    (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\0\0\0")
    damaged = summary(tmp_path, "parameters: {model: x.gguf}")
    assert not damaged.is_usable
    assert "cut short" in damaged.problems[-1].message


def test_a_split_file_has_the_size_of_all_its_parts(tmp_path: Path) -> None:
    sizes = [write_gguf(tmp_path / f"x-0000{part}-of-00002.gguf").stat().st_size for part in (1, 2)]
    assert summarize(read_folder(tmp_path))[0].bytes == sum(sizes)


def test_problems_of_no_model_stand_apart(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nslots: y")
    folder = read_folder(tmp_path)
    assert summarize(folder) == []
    assert other_problems(folder) == folder.problems
