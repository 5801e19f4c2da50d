from __future__ import annotations

from pathlib import Path

import pytest

from core.store import memory
from core.store.gallery import Gallery, read_gallery
from core.store.listing import Listed, list_gallery
from core.store.memory import Memory
from tests.small_gguf import write_gguf

GALLERY = """
small:
  description: a small model
  license: MIT
  files: [{source: "hf:acme/small/w.gguf"}]
known:
  description: a model whose size is known
  license: MIT
  quant: Q8_0
  size: 12
  files: [{source: "hf:acme/known/k.gguf"}, {source: "hf:acme/known/k.txt"}]
shaped:
  description: a model whose shape is known
  license: MIT
  size: 5000
  kv_bytes_per_token: 100
  files: [{source: "hf:acme/shaped/s.gguf"}]
embedder:
  description: a model without a KV cache
  license: MIT
  size: 3000
  kv_bytes_per_token: 0
  files: [{source: "hf:acme/embedder/e.gguf"}]
folder:
  description: sentence-transformers
  license: MIT
  files: [{source: "hf:acme/folder", target: folder, files: [config.json, model.safetensors]}]
"""


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    (tmp_path / "gallery.yaml").write_text(GALLERY)
    return read_gallery(tmp_path / "gallery.yaml")


def listed(gallery: Gallery, name: str) -> Listed:
    return next(one for one in list_gallery(gallery, gallery.path.parent) if one.name == name)


def test_before_the_pull_only_the_gallery_speaks(gallery: Gallery) -> None:
    assert listed(gallery, "small") == Listed("small", "a small model", "MIT", None, None, None, "no")
    known = listed(gallery, "known")
    assert (known.quant, known.size, known.memory) == ("Q8_0", 12, None)


def test_the_memory_of_a_known_shape_is_told_before_the_pull(gallery: Gallery, tmp_path: Path) -> None:
    assert listed(gallery, "embedder").memory == Memory(3000, 0, 0, 1)
    assert listed(gallery, "shaped").memory is None
    (tmp_path / "shaped.yaml").write_text("name: shaped\nparameters: {model: s.gguf}\ncontext_size: 64\nslots: 2\n")
    memory = listed(gallery, "shaped").memory
    assert memory == Memory(5000, 6400, 64, 2)
    assert memory.total == 17800


def test_a_model_with_some_of_its_files_is_there_in_part(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "k.txt").write_text("text")
    assert listed(gallery, "known").state == "partly"


def test_a_pulled_file_tells_its_quant_and_the_memory_for_the_defaults(gallery: Gallery, tmp_path: Path) -> None:
    size = write_gguf(tmp_path / "w.gguf").stat().st_size
    small = listed(gallery, "small")
    assert (small.state, small.quant, small.size) == ("yes", "Q4_K_M", size)
    assert small.memory == Memory(weights=512, kv_per_slot=128 * 8192, context_size=8192, slots=4)
    assert small.memory.total == 512 + 4 * 128 * 8192


@pytest.mark.parametrize("name", ["small", "other"])
def test_the_yaml_that_serves_the_file_sets_context_and_slots(gallery: Gallery, tmp_path: Path, name: str) -> None:
    write_gguf(tmp_path / "w.gguf")
    yaml = f"name: {name}\nparameters: {{model: w.gguf}}\ncontext_size: 100\nslots: 2\n"
    (tmp_path / "a.yaml").write_text(yaml)
    assert listed(gallery, "small").memory == Memory(512, 128 * 100, 100, 2)


def test_a_folder_weighs_what_its_tensors_weigh(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/config.json").write_text("{}")
    (tmp_path / "folder/model.safetensors").write_bytes(bytes(1000))
    folder = listed(gallery, "folder")
    assert (folder.state, folder.quant) == ("yes", None)
    assert folder.memory is not None
    assert folder.memory.total == 1000


def test_a_file_that_cannot_be_read_is_said_to_be_damaged(gallery: Gallery, tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "w.gguf").read_bytes()
    (tmp_path / "w.gguf").write_bytes(whole[:-100])
    small = listed(gallery, "small")
    assert small.state == "damaged"
    assert "cut short" in str(small.problem)


def test_a_split_file_weighs_what_all_its_parts_weigh(tmp_path: Path) -> None:
    for part in (1, 2, 3):
        write_gguf(tmp_path / f"w-0000{part}-of-00003.gguf")
    assert memory.memory_of(tmp_path / "w-00001-of-00003.gguf", 1, 1).weights == 3 * 512
