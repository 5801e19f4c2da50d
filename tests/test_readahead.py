"""Reading weights ahead: only what is worth it, and only where several readers are faster than one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from core import coldstart, readahead

SIZE = readahead.MIN_SIZE + 5
BLOCKS = list(range(0, SIZE, readahead.BLOCK))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


@pytest.fixture
def offsets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of every block that is read, from a medium that never has it in memory. A probe is one block for each reader."""
    seen: list[int] = []
    preadv = os.preadv

    def read(file: int, buffers: Sequence[bytearray], offset: int, flags: int = 0) -> int:
        if flags:
            raise BlockingIOError
        seen.append(offset)
        return preadv(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(readahead, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(readahead, "FAST_ENOUGH", math.inf)
    return seen


@pytest.mark.parametrize(
    ("one", "several", "again", "expected"),
    [
        (1e8, 8e8, 4e9, "readers"),
        (1e8, 1.3e8, 4e9, "readers"),
        (1e8, 1.2e8, 4e9, "mmap"),
        (1e9, 5e8, 4e9, "mmap"),
        (1e8, 8e8, 1e8, "mmap"),
    ],
)
def test_several_readers_must_be_markedly_faster_and_what_they_read_must_stay(
    one: float, several: float, again: float, expected: str
) -> None:
    assert readahead.choose(one, several, again) == expected


def test_where_several_readers_are_better_all_is_read_once(
    weights: Path, offsets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readahead, "choose", lambda *rates: "readers")
    readahead.read_ahead([weights])
    assert sorted(offsets) == [0, *BLOCKS], "and the first one again, to see whether it was kept"


def test_where_they_are_not_the_rest_is_left_to_the_mapping(
    weights: Path, offsets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readahead, "choose", lambda *rates: "mmap")
    readahead.read_ahead([weights])
    assert len(offsets) == 1 + readahead.READERS + 1


def test_what_comes_as_fast_as_from_memory_is_not_probed_further(
    weights: Path, offsets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a page cache whose file system does not tell that it has the page."""
    monkeypatch.setattr(readahead, "FAST_ENOUGH", 0.0)
    readahead.read_ahead([weights])
    assert len(offsets) == 1


def test_what_lies_in_the_page_cache_is_not_read(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.write_bytes(bytes(SIZE))
    with weights.open("rb") as file:
        if not readahead.is_cached(file.fileno(), SIZE):
            pytest.skip("this file system does not tell what is cached")
    monkeypatch.setattr(readahead, "_read", lambda *_: pytest.fail("it was read"))
    readahead.read_ahead([weights])


def test_small_files_and_files_larger_than_memory_are_left_alone(
    weights: Path, offsets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (weights.parent / "config.json").write_text("{}")
    readahead.read_ahead([weights.parent / "config.json"])
    monkeypatch.setattr(readahead, "available_memory", lambda: SIZE - 1)
    readahead.read_ahead([weights])
    assert not offsets


def test_a_file_that_cannot_be_read_is_told_and_left_to_the_load(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    readahead.read_ahead([weights, weights.parent / "gone"])
    assert "model.gguf is not read ahead" in caplog.text
    assert "gone is not read ahead" in caplog.text


@pytest.mark.usefixtures("offsets")
def test_the_ledger_has_what_reading_ahead_took(weights: Path) -> None:
    load: coldstart.Phases = {}
    with coldstart.recording(load):
        readahead.read_ahead([weights])
    assert load.keys() == {"read_ahead"}
