from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import StoreError
from core.store.gallery import GalleryFile, read_gallery

DIGEST = "a" * 64
ENTRY = """
tiny:
  description: a tiny model
  license: MIT
  files:
    - source: pip:tiny==1.0
      member: tiny/model.gguf
      target: tiny.gguf
      sha256: {sha256}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "gallery.yaml"
    path.write_text(text)
    return path


def test_the_shipped_gallery_pins_the_two_default_models() -> None:
    gallery = read_gallery(Path(__file__).parent.parent / "models" / "gallery.yaml")
    for name, target in {
        "smollm2-135m-instruct": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "all-minilm-l6-v2": "all-MiniLM-L6-v2/model.safetensors",
    }.items():
        entry = gallery.entry(name)
        assert target in entry.targets()
        assert all(file.sha256 for item in entry.files for file in item.wanted())


def test_a_single_file_is_taken_under_the_name_of_its_target(tmp_path: Path) -> None:
    (item,) = read_gallery(written(tmp_path, ENTRY.format(sha256=DIGEST))).entry("tiny").files
    assert item.wanted() == [GalleryFile("tiny/model.gguf", ".", DIGEST)]
    assert item.targets() == ["tiny.gguf"]


def test_a_folder_is_taken_file_by_file_below_its_target(tmp_path: Path) -> None:
    text = ENTRY.format(sha256=f"{{config.json: {DIGEST}, 1_Pooling/config.json: {DIGEST}}}")
    (item,) = read_gallery(written(tmp_path, text)).entry("tiny").files
    assert item.wanted() == [
        GalleryFile("tiny/model.gguf/config.json", "config.json", DIGEST),
        GalleryFile("tiny/model.gguf/1_Pooling/config.json", "1_Pooling/config.json", DIGEST),
    ]
    assert item.targets() == ["tiny.gguf/config.json", "tiny.gguf/1_Pooling/config.json"]


def test_a_source_that_is_a_file_needs_no_more_and_no_hash(tmp_path: Path) -> None:
    text = "tiny: {description: d, license: MIT, quant: Q4_K_M, size: 12, files: [{source: 'SOURCE'}]}"
    for source, target in {
        "hf:acme/tiny/dir/w.gguf@main": "w.gguf",
        "https://example.org/a/w%20x.gguf?download=true": "w x.gguf",
        "github:acme/tiny/w.gguf": "w.gguf",
    }.items():
        (item,) = read_gallery(written(tmp_path, text.replace("SOURCE", source))).entry("tiny").files
        assert item.targets() == [target]
        assert item.wanted() == [GalleryFile("", ".", None)]


def test_a_folder_may_name_files_without_hashes(tmp_path: Path) -> None:
    text = ENTRY.format(sha256=f"{{config.json: {DIGEST}}}") + "      files: [model.safetensors]\n"
    (item,) = read_gallery(written(tmp_path, text)).entry("tiny").files
    assert [(file.name, file.sha256) for file in item.wanted()] == [
        ("model.safetensors", None),
        ("config.json", DIGEST),
    ]


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    gallery = read_gallery(written(tmp_path, ENTRY.format(sha256=DIGEST)))
    with pytest.raises(StoreError, match=r"no model 'huge'; it has: tiny\."):
        gallery.entry("huge")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.gguf", "a/../../b", "C:/x.gguf", "a\\b", "''"])
def test_a_target_outside_the_models_folder_is_refused_by_file_and_key(tmp_path: Path, target: str) -> None:
    text = ENTRY.format(sha256=DIGEST).replace("target: tiny.gguf", f"target: {target}")
    with pytest.raises(StoreError, match=r"gallery\.yaml: tiny\.files\.0\.target: .*must be a relative path"):
        read_gallery(written(tmp_path, text))


def test_a_file_of_a_folder_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be a relative path"):
        read_gallery(written(tmp_path, ENTRY.format(sha256=f"{{../../outside: {DIGEST}}}")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.format(sha256="123abc"), r"tiny\.files\.0\.sha256"),
        (ENTRY.format(sha256=DIGEST) + "      files: [a]\n", r"tiny\.files\.0: .*files"),
        (ENTRY.format(sha256=DIGEST) + "  size: 0", r"tiny\.size"),
        (ENTRY.format(sha256=DIGEST) + "  licence: MIT", r"tiny\.licence: Extra inputs are not permitted"),
        (ENTRY.format(sha256=DIGEST).replace("pip:tiny==1.0", "tiny"), r"tiny\.files\.0\.source"),
        ("- a list", "gallery: Input should be a valid dictionary"),
        ("tiny: [", "not valid YAML"),
    ],
)
def test_a_bad_gallery_is_reported_by_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StoreError, match=r"gallery\.yaml: " + message):
        read_gallery(written(tmp_path, text))


def test_a_missing_gallery_is_reported_by_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"gallery\.yaml: the gallery cannot be read"):
        read_gallery(tmp_path / "gallery.yaml")
