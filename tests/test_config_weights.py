from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.config.problem import NotPulled
from core.config.weight_files import folder_fault, gguf_fault, weights_state
from core.errors import ModelUnusable


def config(root: Path, model: str | None = None, **values: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": root, "parameters": {"model": model}, **values})


def test_weights_are_found_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/x.gguf").touch()
    for model in ("sub/x.gguf", "./sub/x.gguf", "/build/models/sub/x.gguf", str(tmp_path / "sub/x.gguf")):
        assert config(tmp_path, model).weights == tmp_path / "sub/x.gguf"


def test_without_parameters_model_the_name_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    assert config(tmp_path).weights == tmp_path / "m"


@pytest.mark.parametrize(
    "model", ["/etc/passwd", "../x", "a/../../x", "/build/models/../x", ".", "/build/models", "a\0b"]
)
def test_weights_outside_the_root_are_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelUnusable, match="not a path inside the models folder"):
        _ = config(tmp_path, model).weights


REMOTE = {
    "huggingface://own/rep/x.gguf": "https://huggingface.co/own/rep/resolve/main/x.gguf",
    "hf://own/rep/x.gguf@dev": "https://huggingface.co/own/rep/resolve/dev/x.gguf",
    "github:own/rep/sub/x.gguf@dev": "https://raw.githubusercontent.com/own/rep/dev/sub/x.gguf",
    "https://host/x.gguf?download=true": "https://host/x.gguf?download=true",
}


@pytest.mark.parametrize(("ref", "url"), REMOTE.items())
def test_a_remote_reference_is_what_localai_saved_it_as(tmp_path: Path, ref: str, url: str) -> None:
    old = tmp_path / hashlib.md5(url.encode()).hexdigest()
    old.touch()
    assert config(tmp_path, ref).weights == old
    new = tmp_path / "x.gguf"
    new.touch()
    assert config(tmp_path, ref).weights == new


def test_a_name_that_no_file_system_takes_is_just_missing(tmp_path: Path) -> None:
    for model in ("x" * 5000, "hf://a/b/" + "x" * 5000, "hf://a/b/x\0"):
        with pytest.raises(ModelUnusable, match="are not in"):
            _ = config(tmp_path, model).weights


def test_a_leftover_of_the_query_is_a_name_too(tmp_path: Path) -> None:
    (tmp_path / "x.gguf?download=true").touch()
    assert config(tmp_path, "https://host/x.gguf?download=true").weights.name == "x.gguf?download=true"


def test_a_hugging_face_id_is_the_folder_it_ends_in(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    for model in ("mini", "someone/mini", "/opt/models/mini"):
        assert config(tmp_path, model).weights == tmp_path / "mini"


@pytest.mark.parametrize(
    ("model", "more", "pull"),
    [
        ("hf://a/b/x.gguf", {}, "warmfn pull hf://a/b/x.gguf`"),
        ("x.gguf", {"download_files": [{"filename": "x.gguf", "uri": "https://h/x"}]}, "warmfn pull https://h/x`"),
    ],
)
def test_missing_weights_name_the_yaml_the_key_and_the_remedy(
    tmp_path: Path, model: str, more: dict[str, Any], pull: str
) -> None:
    with pytest.raises(ModelUnusable) as caught:
        _ = config(tmp_path, model, source=tmp_path / "m.yaml", **more).weights
    message = f"{tmp_path}/m.yaml: parameters.model: weights {model!r} are not in {tmp_path}: run `{pull}"
    assert caught.value.message == f"{message} or put them there"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("x.gguf", b"", "is empty"),
        ("x.bin", b"lmgg\x01", "the ggml format that came before GGUF"),
        ("x.safetensors", b"\x10" + bytes(7) + b'{"__metadata__":', "is a safetensors file"),
        ("x.onnx", b"\x08\x07", "is an ONNX file"),
        ("x.bin", b"PK\x03\x04", "is a PyTorch file"),
        ("x.gguf", b"<!DOCTYPE html>", "is a web page"),
        ("x.gguf", b"anything", "is not a GGUF file"),
    ],
)
def test_what_stands_where_a_gguf_belongs_is_named_with_a_remedy(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    fault = gguf_fault(tmp_path / name)
    assert fault
    assert words in fault
    assert ": " in fault


def test_a_gguf_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "0123456789abcdef0123456789abcdef").write_bytes(b"GGUF....")
    assert gguf_fault(tmp_path / "0123456789abcdef0123456789abcdef") is None


def test_a_folder_under_a_gguf_backend_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert "sentencetransformers" in (gguf_fault(tmp_path) or "")
    (tmp_path / "x.gguf").touch()
    assert "name the file in it" in (gguf_fault(tmp_path) or "")


def test_a_folder_without_its_weights_is_told_from_a_whole_one(tmp_path: Path) -> None:
    assert "has no config.json" in (folder_fault(tmp_path) or "")
    (tmp_path / "config.json").write_text("{}")
    assert "has no weights in it" in (folder_fault(tmp_path) or "")
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in (folder_fault(tmp_path) or "")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert folder_fault(tmp_path) is None


def test_a_gguf_under_a_folder_backend_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"GGUF")
    assert "say `backend: llama-cpp`" in (folder_fault(tmp_path / "x") or "")
    (tmp_path / "y").write_bytes(b"none")
    assert "name a folder" in (folder_fault(tmp_path / "y") or "")


def test_only_what_the_gallery_of_the_folder_lists_is_pulled_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable) as caught:
        _ = config(tmp_path, "x.gguf").weights
    assert "put them there" in caught.value.message
    assert "warmfn pull m`" not in caught.value.message
    (tmp_path / "gallery.yaml").write_text("m: {description: x, license: y, files: []}")
    with pytest.raises(NotPulled, match=r"not pulled yet, .*: run `warmfn pull m`"):
        _ = config(tmp_path, "x.gguf").weights
    (tmp_path / "gallery.yaml").write_text("m: [")
    with pytest.raises(ModelUnusable, match="put them there"):
        _ = config(tmp_path, "x.gguf").weights


def test_a_part_that_is_a_dangling_link_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "x-00001-of-00002.gguf").write_bytes(b"GGUF")
    (tmp_path / "x-00002-of-00002.gguf").symlink_to("nowhere")
    assert weights_state(tmp_path / "x-00001-of-00002.gguf").num_bytes == 4
