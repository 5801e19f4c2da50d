"""llama.cpp's quantizer behind `quantize`, on a model of random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import ModelUnusable, StoreError
from core.gguf import read_header
from core.llama.quantize import estimated_bytes, quantize
from tests.small_gguf import write_gguf
from tests.tiny_llama import write_tiny_llama


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.F16.gguf")


@pytest.mark.parametrize("type", ["Q8_0", "Q4_0", "Q4_K_M"])
def test_the_file_is_of_the_type_and_about_as_large_as_estimated(source: Path, tmp_path: Path, type: str) -> None:
    target = tmp_path / f"tiny.{type}.gguf"
    quantize(source, target, type)
    header, size = read_header(target), target.stat().st_size
    assert header.quant == type
    assert {tensor.name: tensor.shape for tensor in header.tensors} == {
        tensor.name: tensor.shape for tensor in read_header(source).tensors
    }
    assert size <= estimated_bytes(read_header(source), type) * 1.001
    assert estimated_bytes(read_header(source), type) <= size * (1.2 if type == "Q4_K_M" else 1.001)
    assert list(tmp_path.iterdir()) == [target]


def test_a_quantized_file_can_be_quantized_again(source: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    quantize(source, first, "Q8_0")
    quantize(first, second, "Q4_0")
    assert read_header(second).quant == "Q4_0"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_what_stops_the_watcher_stops_the_quantizer_and_leaves_nothing(
    source: Path, tmp_path: Path, stop: type[BaseException]
) -> None:
    def interrupt(description: str, done: int, total: int | None) -> None:
        assert description == "make target.gguf"
        assert done <= (total or 0)
        raise stop

    with pytest.raises(stop):
        quantize(source, tmp_path / "target.gguf", "Q8_0", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_made(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 900, 100))
    with pytest.raises(StoreError, match=r"no room on the disk of .*: \d.* MB are needed"):
        quantize(source, tmp_path / "target.gguf", "Q8_0")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_of_that_name_outlives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    target.write_text("older")
    with pytest.raises(StoreError, match=r"odd\.gguf cannot be quantized to Q8_0: .*failed to quantize"):
        quantize(write_gguf(tmp_path / "odd.gguf", architecture="unheard-of"), target, "Q8_0")
    assert target.read_text() == "older"


def test_unusable_sources_and_unknown_types_are_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "short.gguf").write_bytes(source.read_bytes()[:-100])
    with pytest.raises(ModelUnusable, match="cut short"):
        quantize(tmp_path / "short.gguf", tmp_path / "target.gguf", "Q8_0")
    with pytest.raises(StoreError, match="'Q9_0' is no quantization that can be made: give one of F16"):
        quantize(source, tmp_path / "target.gguf", "Q9_0")
