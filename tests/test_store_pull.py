from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store import sources
from core.store.gallery import Entry, Gallery, Item
from core.store.progress import Progress
from core.store.pull import pull

WEIGHTS = b"weights" * 1000
CONFIG = b"{}"


class MemorySource:
    """A source that holds its members in memory and counts how often it was asked."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self.members = members
        self.asked: list[list[str]] = []

    def __call__(self, locator: str, members: Sequence[str], into: Path, progress: Progress) -> dict[str, Path]:
        self.asked.append(list(members))
        files = {member: into / str(number) for number, member in enumerate(members)}
        for member, path in files.items():
            path.write_bytes(self.members[member])
            progress(f"fetch {locator}", len(self.members[member]), None)
        return files


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> MemorySource:
    source = MemorySource({"pkg/model.gguf": WEIGHTS, "pkg/st/config.json": CONFIG, "pkg/st/1/config.json": CONFIG})
    monkeypatch.setitem(sources.SOURCES, "memory", source)
    return source


@pytest.fixture
def gallery() -> Gallery:
    config = sha256(CONFIG).hexdigest()
    items = {
        "single": Item(
            source="memory:pkg",
            member="pkg/model.gguf",
            target="tiny.gguf",
            sha256={".": sha256(WEIGHTS).hexdigest()},
        ),
        "folder": Item(
            source="memory:pkg",
            member="pkg/st",
            target="st",
            sha256={"config.json": config, "1/config.json": config},
        ),
        "elsewhere": Item(source="ftp:pkg", member="a", target="a", sha256={".": config}),
    }
    entries = {name: Entry(description=name, license="MIT", files=(item,)) for name, item in items.items()}
    return Gallery(Path("gallery.yaml"), entries)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_arrives_under_its_target(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    models = tmp_path / "not" / "there" / "yet"
    assert pull("single", models, gallery) == [models / "tiny.gguf"]
    assert contents(models) == {"tiny.gguf": WEIGHTS}


def test_a_folder_arrives_whole(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    pull("folder", tmp_path, gallery)
    assert contents(tmp_path) == {"st/config.json": CONFIG, "st/1/config.json": CONFIG}


def test_a_second_pull_touches_no_source(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    first = pull("folder", tmp_path, gallery)
    assert pull("folder", tmp_path, gallery) == first
    assert len(source.asked) == 1


def test_only_what_is_missing_or_differs_is_fetched(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    pull("folder", tmp_path, gallery)
    (tmp_path / "st/1/config.json").write_bytes(b"spoilt")
    pull("folder", tmp_path, gallery)
    assert source.asked[1] == ["pkg/st/1/config.json"]
    assert contents(tmp_path) == {"st/config.json": CONFIG, "st/1/config.json": CONFIG}


def test_a_wrong_hash_leaves_nothing_behind(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    source.members["pkg/model.gguf"] = b"other"
    with pytest.raises(StoreError) as caught:
        pull("single", tmp_path, gallery)
    for fact in (sha256(WEIGHTS).hexdigest(), sha256(b"other").hexdigest(), "memory:pkg", "gallery.yaml"):
        assert fact in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_one_wrong_file_keeps_its_whole_folder_out(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    source.members["pkg/st/1/config.json"] = b"other"
    with pytest.raises(StoreError, match=r"pkg/st/1/config\.json"):
        pull("folder", tmp_path, gallery)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_pull_keeps_the_file_that_was_there(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"the user's own")
    source.members["pkg/model.gguf"] = b"other"
    with pytest.raises(StoreError):
        pull("single", tmp_path, gallery)
    assert contents(tmp_path) == {"tiny.gguf": b"the user's own"}


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    def interrupt(description: str, done: int, total: int | None) -> None:
        assert list(tmp_path.rglob("*")), "something was being written"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("single", tmp_path, gallery, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    tmp_path: Path, source: MemorySource, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(locator: str, members: Sequence[str], into: Path, progress: Progress) -> dict[str, Path]:
        (into / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(sources.SOURCES, "memory", fill_the_disk)
    with pytest.raises(StoreError, match=r"no room left on the disk of .*Free some space"):
        pull("single", tmp_path, gallery)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    (tmp_path / "tiny.gguf" / "inside").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"tiny\.gguf: Is a directory"):
        pull("single", tmp_path, gallery)
    shutil.rmtree(tmp_path / "tiny.gguf")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_source_names_the_known_ones(tmp_path: Path, gallery: Gallery) -> None:
    with pytest.raises(StoreError, match=r"ftp:pkg: unknown kind of source 'ftp'; known are: .*pip"):
        pull("elsewhere", tmp_path, gallery)


def test_an_unknown_name_lists_what_there_is(tmp_path: Path, gallery: Gallery) -> None:
    with pytest.raises(StoreError, match="it has: elsewhere, folder, single"):
        pull("nothing", tmp_path, gallery)
