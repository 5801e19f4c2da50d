"""The real pip, on tiny wheels that these tests make."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store.pip_wheel import fetch_from_wheel
from core.store.progress import silent

WEIGHTS = os.urandom(1 << 21)
REQUIREMENT = "tiny-model==1.0"
WHEEL = "tiny_model-1.0-py3-none-any.whl"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, the only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny_model/model.gguf", WEIGHTS)
        wheel.writestr("tiny_model/st/config.json", b"{}")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: huge\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


class StallingIndex(HTTPServer):
    """Serves the wheel on a page of links, but never its second half; says when its client has gone."""

    wheel: Path
    client_gone: threading.Event


class StallingHandler(BaseHTTPRequestHandler):
    server: StallingIndex

    def do_GET(self) -> None:
        if not self.path.endswith(".whl"):
            return self._send("text/html", page := f'<a href="{WHEEL}">{WHEEL}</a>'.encode(), len(page))
        data = self.server.wheel.read_bytes()
        self._send("application/octet-stream", data[: len(data) // 2], len(data))
        with suppress(ConnectionError):
            self.connection.recv(1)
        self.server.client_gone.set()

    def _send(self, kind: str, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stalling_index(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StallingIndex]:
    server = StallingIndex(("127.0.0.1", 0), StallingHandler)
    server.wheel, server.client_gone = wheels / WHEEL, threading.Event()
    monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_members_come_out_as_they_are_and_no_dependency_is_fetched(wheels: Path, into: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    files = fetch_from_wheel(
        REQUIREMENT,
        ["tiny_model/model.gguf", "tiny_model/st/config.json"],
        into,
        lambda description, done, total: seen.append((description, done, total)),
    )
    assert files["tiny_model/model.gguf"].read_bytes() == WEIGHTS
    assert files["tiny_model/st/config.json"].read_bytes() == b"{}"
    whole = len(WEIGHTS) + 2
    assert seen[-1] == ("unpack tiny-model==1.0", whole, whole)


def test_a_missing_member_is_named_beside_those_there_are(wheels: Path, into: Path) -> None:
    with pytest.raises(StoreError, match=r"has no tiny_model/gone\.bin; it has: tiny_model/model\.gguf"):
        fetch_from_wheel(REQUIREMENT, ["tiny_model/gone.bin"], into, silent)


def test_a_missing_package_is_said_in_pips_own_words(wheels: Path, into: Path) -> None:
    with pytest.raises(StoreError, match=r"Check the network .*\n.*ERROR.*absent==2\.0"):
        fetch_from_wheel("absent==2.0", ["x"], into, silent)


@pytest.mark.parametrize("requirement", ["tiny-model", "tiny-model>=1", "--help", "../evil==1", "a==1 b==2"])
def test_only_one_pinned_package_is_a_pip_source(into: Path, requirement: str) -> None:
    with pytest.raises(StoreError, match="PACKAGE==VERSION"):
        fetch_from_wheel(requirement, ["x"], into, silent)


def test_a_disk_too_small_is_said_before_anything_is_unpacked(
    wheels: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 1_000_000))
    with pytest.raises(StoreError, match=r"2\.1 MB are needed and 1\.0 MB are free"):
        fetch_from_wheel(REQUIREMENT, ["tiny_model/model.gguf"], into, silent)
    assert [path.name for path in into.iterdir()] == [WHEEL]


def test_ctrl_c_ends_a_download_that_is_under_way(stalling_index: StallingIndex, into: Path) -> None:
    def interrupt(description: str, done: int, total: int | None) -> None:
        assert (description, total) == ("download tiny-model==1.0", stalling_index.wheel.stat().st_size)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_from_wheel(REQUIREMENT, ["tiny_model/model.gguf"], into, interrupt)
    assert stalling_index.client_gone.wait(10), "pip still holds its connection"
