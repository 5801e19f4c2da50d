from __future__ import annotations

from pathlib import Path

import gguf

from core.config.folder import FolderDefaults, read_folder
from tests.small_gguf import write_gguf


def sentence_transformers(folder: Path) -> None:
    folder.mkdir()
    for name in ("modules.json", "config.json", "model.safetensors"):
        (folder / name).write_text("{}")


def test_weights_that_no_config_names_are_models_after_the_configs(tmp_path: Path) -> None:
    write_gguf(tmp_path / "0123456789abcdef0123456789abcdef")
    write_gguf(tmp_path / "named.gguf")
    write_gguf(tmp_path / "x.gguf?download=true")
    sentence_transformers(tmp_path / "mini")
    (tmp_path / "z.yaml").write_text("name: z\nparameters: {model: /build/models/named.gguf}")
    folder = read_folder(tmp_path, FolderDefaults(threads=3))
    assert not folder.problems
    assert list(folder.configs) == ["z", "0123456789abcdef0123456789abcdef", "mini", "x.gguf?download=true"]
    assert folder.configs["mini"].embeddings
    assert folder.configs["x.gguf?download=true"].threads == 3
    assert folder.configs["x.gguf?download=true"].source is None


def test_a_loose_embedding_model_embeds(tmp_path: Path) -> None:
    write_gguf(tmp_path / "e.gguf", "bert")
    assert read_folder(tmp_path).configs["e.gguf"].embeddings


def test_a_loose_model_has_the_template_beside_it(tmp_path: Path) -> None:
    write_gguf(tmp_path / "x.gguf")
    (tmp_path / "x.gguf.tmpl").write_text("{{.Input}}")
    assert read_folder(tmp_path).configs["x.gguf"].templates["chat"].text == "{{.Input}}"


def test_what_nothing_could_be_asked_of_is_no_model(tmp_path: Path) -> None:
    for part in ("00001", "00002"):
        write_gguf(tmp_path / f"big-{part}-of-00002.gguf")
    write_gguf(tmp_path / "lora.gguf", kind="adapter")
    write_gguf(tmp_path / "mmproj.gguf", "clip")
    write_gguf(tmp_path / "vocab.gguf", has_weights=False)
    write_gguf(tmp_path / "reranker.gguf", "bert", pooling=gguf.PoolingType.RANK)
    write_gguf(tmp_path / "unfinished.gguf.part")
    write_gguf(tmp_path / ".hidden.gguf")
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "sub").mkdir()
    folder = read_folder(tmp_path)
    assert list(folder.configs) == ["big-00001-of-00002.gguf"]
    assert not folder.problems


def test_files_that_go_with_a_config_are_not_offered_beside_it(tmp_path: Path) -> None:
    for name in ("x.gguf", "draft.gguf"):
        write_gguf(tmp_path / name)
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: x.gguf}\ndraft_model: draft.gguf")
    assert list(read_folder(tmp_path).configs) == ["m"]


def test_a_config_wins_over_weights_of_its_name(tmp_path: Path) -> None:
    for name in ("x.gguf", "y.gguf"):
        write_gguf(tmp_path / name)
    (tmp_path / "m.yaml").write_text("name: x.gguf\nparameters: {model: y.gguf}")
    folder = read_folder(tmp_path)
    assert list(folder.configs) == ["x.gguf"]
    assert folder.configs["x.gguf"].source


def test_loose_weights_that_are_none_or_cut_short_are_told(tmp_path: Path) -> None:
    (tmp_path / "pointer.gguf").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    whole = write_gguf(tmp_path / "short.gguf").read_bytes()
    (tmp_path / "short.gguf").write_bytes(whole[:-8])
    folder = read_folder(tmp_path)
    assert not folder.configs
    pointer, short = folder.problems
    assert "git lfs pull" in pointer.message
    assert "is cut short" in short.message
