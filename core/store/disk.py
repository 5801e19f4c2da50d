"""What the store asks of the disk: is there room, is this the right file, and what an OSError means to a person."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreError


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_room(folder: Path, num_bytes: int) -> None:
    """Raise StoreError if `num_bytes` more do not fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise StoreError(
            f"no room on the disk of {folder}: {_megabytes(num_bytes)} are needed and {_megabytes(free)} are free. "
            "Free some space, then pull again."
        )


@contextmanager
def explained_disk_errors(folder: Path) -> Iterator[None]:
    """Turn the OSErrors of writing into `folder` into StoreErrors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no room left on the disk of {folder}. Free some space, then pull again."
        else:
            culprit = error.filename2 or error.filename or folder
            message = f"{culprit}: {error.strerror or error}. Make it writable, or move it away."
        raise StoreError(message) from error


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
