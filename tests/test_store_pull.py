from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store import sources
from core.store.gallery import Entry, Gallery, Item
from core.store.progress import Progress
from core.store.pull import Pulled, pull, pull_source, unfinished_bytes
from core.store.transfer import Origin, Wanted
from tests.web import Handler, Web, stall, truncate

ROOT = Path(__file__).parents[1]
WEIGHTS = b"weights" * 1000
CONFIG = b"{}"


class MemorySource:
    """A source that holds its members in memory and counts how often it was asked."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self.members = members
        self.asked: list[list[str]] = []

    def __call__(self, locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
        self.asked.append([file.member for file in wanted])
        for file in wanted:
            file.part.parent.mkdir(parents=True, exist_ok=True)
            file.part.write_bytes(self.members[file.member])
            progress(f"fetch {locator}", len(self.members[file.member]), None)
        return {file.member: Origin() for file in wanted}


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
    """All files but the records of what was pulled, and locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".pulled.json", ".lock")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_file_arrives_under_its_target(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    models = tmp_path / "not" / "there" / "yet"
    digest = sha256(WEIGHTS).hexdigest()
    assert pull("single", models, gallery) == [Pulled(models / "tiny.gguf", True, digest, "gallery.yaml")]
    assert contents(models) == {"tiny.gguf": WEIGHTS}


def test_a_folder_arrives_whole(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    pull("folder", tmp_path, gallery)
    assert contents(tmp_path) == {"st/config.json": CONFIG, "st/1/config.json": CONFIG}


def test_a_second_pull_touches_no_source(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    first = pull("folder", tmp_path, gallery)
    assert pull("folder", tmp_path, gallery) == [replace(file, is_new=False) for file in first]
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
    assert contents(tmp_path) == {}


def test_a_failed_pull_leaves_no_lock(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    source.members["pkg/model.gguf"] = b"other"
    with pytest.raises(StoreError):
        pull("single", tmp_path, gallery)
    assert list(tmp_path.iterdir()) == []


def test_one_wrong_file_keeps_its_whole_folder_out(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    source.members["pkg/st/1/config.json"] = b"other"
    with pytest.raises(StoreError, match=r"pkg/st/1/config\.json"):
        pull("folder", tmp_path, gallery)
    assert contents(tmp_path) == {}


def test_a_failed_pull_keeps_the_file_that_was_there(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"the user's own")
    source.members["pkg/model.gguf"] = b"other"
    with pytest.raises(StoreError):
        pull("single", tmp_path, gallery)
    assert contents(tmp_path) == {"tiny.gguf": b"the user's own"}


def test_a_full_disk_is_said(
    tmp_path: Path, source: MemorySource, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(sources.SOURCES, "memory", fill_the_disk)
    with pytest.raises(StoreError, match=r"no room left on the disk of .*Free some space"):
        pull("single", tmp_path, gallery)


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path: Path, source: MemorySource, gallery: Gallery) -> None:
    (tmp_path / "tiny.gguf" / "inside").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"tiny\.gguf: Is a directory"):
        pull("single", tmp_path, gallery)
    assert (tmp_path / "tiny.gguf" / "inside").is_dir()


def test_an_unknown_kind_of_source_names_the_known_ones(tmp_path: Path, gallery: Gallery) -> None:
    with pytest.raises(StoreError, match=r"ftp:pkg: unknown kind of source 'ftp'; known are: .*pip"):
        pull("elsewhere", tmp_path, gallery)


def test_an_unknown_name_lists_what_there_is(tmp_path: Path, gallery: Gallery) -> None:
    with pytest.raises(StoreError, match="it has: elsewhere, folder, single"):
        pull("nothing", tmp_path, gallery)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.gguf": WEIGHTS}) as web:
        yield web


def start_pull(web: Web, models: Path) -> subprocess.Popen[str]:
    """A pull in a process of its own, which prints what it pulled."""
    code = (
        "import sys; from pathlib import Path; from core.store.pull import pull_source; "
        "print(pull_source(sys.argv[1], Path(sys.argv[2])).is_new)"
    )
    command = [sys.executable, "-c", code, f"{web.url}/w.gguf", str(models)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def hold_until(arrived: threading.Event, go_on: threading.Event) -> Callable[[Handler], None]:
    """Serve the start, say so, and the rest only when told."""

    def serve(handler: Handler) -> None:
        arrived.set()
        go_on.wait(30)
        handler.serve()

    return serve


def test_a_file_of_the_web_is_pulled_by_its_own_name_and_nobody_vouches_for_it(tmp_path: Path, web: Web) -> None:
    pulled = pull_source(f"{web.url}/w.gguf?download=true", tmp_path)
    assert pulled == Pulled(tmp_path / "w.gguf", True, sha256(WEIGHTS).hexdigest(), None)
    assert contents(tmp_path) == {"w.gguf": WEIGHTS}


def test_a_file_of_this_machine_is_copied(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(WEIGHTS)
    models = tmp_path / "models"
    pull_source(f"file:{tmp_path}/w.gguf", models)
    assert contents(models) == {"w.gguf": WEIGHTS}
    with pytest.raises(StoreError, match="there is no such file"):
        pull_source(f"file:{tmp_path}/absent.gguf", models)


def test_a_file_that_the_user_put_there_is_kept(tmp_path: Path, web: Web) -> None:
    (tmp_path / "w.gguf").write_bytes(b"the user's own")
    assert pull_source(f"{web.url}/w.gguf", tmp_path) == Pulled(tmp_path / "w.gguf", False, None, None)
    assert web.asked == []


def test_a_file_of_the_same_name_from_elsewhere_is_not_taken_for_this_one(tmp_path: Path, web: Web) -> None:
    web.files["/other/w.gguf"] = b"other"
    pull_source(f"{web.url}/w.gguf", tmp_path)
    with pytest.raises(StoreError, match=r"w\.gguf is there already and came from .*Move it away"):
        pull_source(f"{web.url}/other/w.gguf", tmp_path)


@pytest.mark.parametrize("source", ["https://example.org/", "https://example.org/a/..", "hf:acme/.hidden"])
def test_an_address_without_a_file_name_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(StoreError, match="name of a file"):
        pull_source(source, tmp_path)


@pytest.mark.parametrize("source", ["https://example.org/a:b.gguf", "FTP://example.org/w.gguf"])
def test_an_address_that_cannot_be_fetched_is_named(tmp_path: Path, source: str) -> None:
    with pytest.raises(StoreError, match=f"{source} cannot be fetched: "):
        pull_source(source, tmp_path)


def test_ctrl_c_keeps_what_has_arrived(tmp_path: Path, web: Web) -> None:
    def interrupt(description: str, done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    web.faults = [truncate]
    with pytest.raises(KeyboardInterrupt):
        pull_source(f"{web.url}/w.gguf", tmp_path, interrupt)
    assert not (tmp_path / "w.gguf").exists()
    assert unfinished_bytes(tmp_path) == 1000
    pull_source(f"{web.url}/w.gguf", tmp_path)
    assert contents(tmp_path) == {"w.gguf": WEIGHTS}
    assert web.ranges() == [None, "bytes=1000-"]


def test_a_pull_that_was_killed_is_gone_on_from(tmp_path: Path, web: Web) -> None:
    web.faults = [stall]
    with start_pull(web, tmp_path) as process:
        wait_until(lambda: unfinished_bytes(tmp_path) == 1000)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "w.gguf").exists()
    pull_source(f"{web.url}/w.gguf", tmp_path)
    assert web.ranges() == [None, "bytes=1000-"]
    assert contents(tmp_path) == {"w.gguf": WEIGHTS}


def test_of_two_processes_one_downloads_and_the_other_waits(tmp_path: Path, web: Web) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    web.faults = [hold_until(arrived, go_on)]
    waits = threading.Event()

    def watch(description: str, done: int, total: int | None) -> None:
        if description == "wait for another pull of w.gguf":
            waits.set()
            go_on.set()

    with start_pull(web, tmp_path) as process:
        assert arrived.wait(30)
        assert not pull_source(f"{web.url}/w.gguf", tmp_path, watch).is_new
        assert process.stdout is not None
        assert process.stdout.read().strip() == "True"
    assert waits.is_set()
    assert len(web.asked) == 1
    assert contents(tmp_path) == {"w.gguf": WEIGHTS}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_may_be_a_key_in_an_address_is_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.bin": WEIGHTS}) as web:
        address = web.url.replace("//", "//me:SECRET@") + "/w.bin?token="
        assert pull_source(f"{address}SECRET", tmp_path).is_new
        assert not pull_source(f"{address}SECRET", tmp_path).is_new
        with pytest.raises(StoreError, match=r"is there already and came from .*/w\.bin\?") as caught:
            pull_source(f"{address}SECRET2", tmp_path)
    assert "SECRET" not in caught.value.message
    assert all(b"SECRET" not in path.read_bytes() for path in tmp_path.iterdir())
