"""The file of one pack: MAGIC, the length of the header (4 bytes), the header as JSON, its SHA-256, the cells, theirs.

The cells go to llama.cpp, which believes what they say; so nothing is handed on before its SHA-256 has been compared,
once for as long as the file stays the same: 33 MB take 60 ms, which streams that run would wait for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Self

from core.errors import StoreError
from core.packs.fingerprint import Fingerprint
from core.store.disk import explained_disk_errors, require_room

MAGIC = b"WARMFNPACK1\n"
SUFFIX = ".pack"
MAX_HEADER_BYTES = 1 << 24
PART_BYTES = 1 << 20
_LENGTH_BYTES = 4
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class PackHeader:
    """`source` is where the prefix is from, such as `prefixes.0`; `layout` is `ContextSettings.layout`;
    `prefill_seconds` is what computing the tokens took."""

    model: str
    source: str
    tokens: list[int]
    fingerprint: Fingerprint
    layout: Mapping[str, Any]
    state_bytes: int
    prefill_seconds: float


@dataclass(frozen=True)
class FileState:
    """By which a change of a file is noticed."""

    inode: int
    num_bytes: int
    changed_ns: int

    @classmethod
    def of(cls, file: BufferedReader) -> Self:
        status = os.fstat(file.fileno())
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def write_pack(path: Path, header: PackHeader, state: bytearray) -> None:
    """The whole file or nothing. Raises StoreError."""
    text = json.dumps(asdict(header)).encode()
    start = MAGIC + len(text).to_bytes(_LENGTH_BYTES, "little") + text
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained_disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        require_room(path.parent, len(start) + len(state))
        try:
            with part.open("wb") as file:
                file.writelines((start, _sha256(start), state, _sha256(state)))
            part.replace(path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def read_header(path: Path) -> PackHeader:
    """Raises StoreError where the file is none of ours, or not as long as its header says."""
    with _opened(path) as file:
        return _read_header(file, path)


def check_pack(path: Path) -> tuple[PackHeader, FileState]:
    """The header of a pack whose cells are as they were written, and the state of its file. Raises StoreError."""
    with _opened(path) as file:
        state = FileState.of(file)
        header = _read_header(file, path)
        digest, left = hashlib.sha256(), header.state_bytes
        while left and (part := file.read(min(left, PART_BYTES))):
            digest.update(part)
            left -= len(part)
        if file.read() != digest.digest():
            raise _damaged(path, "its cells have another SHA-256")
    return header, state


def read_pack(path: Path, checked: FileState | None = None) -> tuple[PackHeader, bytearray, FileState]:
    """The header and the cells, as they were written, and the state of the file; one that is still as it was `checked`
    is believed. Raises StoreError."""
    with _opened(path) as file:
        state = FileState.of(file)
        header = _read_header(file, path)
        cells = bytearray(header.state_bytes)
        file.readinto(cells)
        if state != checked and file.read() != _sha256(cells):
            raise _damaged(path, "its cells have another SHA-256")
    return header, cells, state


def _read_header(file: BufferedReader, path: Path) -> PackHeader:
    start = file.read(len(MAGIC) + _LENGTH_BYTES)
    length = int.from_bytes(start[len(MAGIC) :], "little")
    if not start.startswith(MAGIC) or length > MAX_HEADER_BYTES:
        raise _damaged(path, "it does not begin as one")
    text = file.read(length)
    if file.read(_DIGEST_BYTES) != _sha256(start + text):
        raise _damaged(path, "its header has another SHA-256")
    values = json.loads(text)
    of_weights = values.pop("fingerprint")
    header = PackHeader(**values, fingerprint=Fingerprint(tuple(of_weights["header_bytes"]), of_weights["digest"]))
    size, expected = os.fstat(file.fileno()).st_size, file.tell() + header.state_bytes + _DIGEST_BYTES
    if size != expected:
        raise _damaged(path, f"it has {size} bytes instead of {expected}")
    return header


def _sha256(data: bytes | bytearray) -> bytes:
    return hashlib.sha256(data).digest()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path}: this pack is damaged, {reason}: remove it and run `warmfn pack` again")
