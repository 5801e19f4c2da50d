"""What the store asks of the disk: is there room, is this the right file, and what an OSError means to a person."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreError
from core.store.progress import Progress, silent

_BLOCK = 1 << 20


def sha256_of(path: Path, progress: Progress = silent, name: str | None = None) -> str:
    """`name` is what the progress calls the file."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(f"verify {name or path.name}", done, total)
    return digest.hexdigest()


def git_blob_id(path: Path) -> str:
    """What git calls a file of these contents."""
    return hashlib.sha1(f"blob {path.stat().st_size}\0".encode() + path.read_bytes()).hexdigest()


def require_room(folder: Path, num_bytes: int) -> None:
    """Raise StoreError if `num_bytes` more do not fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise StoreError(
            f"no room on the disk of {folder}: {_megabytes(num_bytes)} are needed and {_megabytes(free)} are free. "
            "Free some space, then try again."
        )


@contextmanager
def explained_disk_errors(folder: Path) -> Iterator[None]:
    """Turn the OSErrors of writing into `folder` into StoreErrors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no room left on the disk of {folder}. Free some space, then try again."
        else:
            culprit = error.filename2 or error.filename or folder
            message = f"{culprit}: {error.strerror or error}. Make it writable, or move it away."
        raise StoreError(message) from error


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
