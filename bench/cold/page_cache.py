"""A model's files in the kernel's page cache: all of them before a warm start, none before a cold one.

No root is needed: the kernel drops the clean pages of a file when it is told that nobody will want them
(POSIX_FADV_DONTNEED), except those that some process has mapped. So what is there is always looked up (mincore).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.cold.result import PageCache
from bench.errors import BenchError

BLOCK = 1 << 22
"""Bytes of one read."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


def prepare(files: Iterable[Path], wanted: PageCache) -> None:
    """Bring all of the files into the page cache, or out of it, as far as the kernel does so. Raises BenchError."""
    for file in files:
        with _opened(file) as descriptor:
            if wanted == "warm":
                _read_through(descriptor)
            else:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def share_cached(files: Sequence[Path]) -> float | None:
    """The share of their pages that is in the page cache; raises BenchError for a file that cannot be read.

    None where the kernel does not tell: since Linux 5.2 it calls every page cached to those who may not write the file
    (mincore(2)).
    """
    if not all(os.access(file, os.W_OK) for file in files):
        return None
    cached = total = 0
    for file in files:
        with _opened(file) as descriptor:
            pages = _pages(descriptor)
        cached, total = cached + int(np.count_nonzero(pages & 1)), total + len(pages)
    return cached / total if total else None


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    try:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BenchError(f"{file}: cannot be read: {error.strerror}") from error


def _read_through(descriptor: int) -> None:
    buffer = bytearray(BLOCK)
    while os.readv(descriptor, [buffer]):
        pass


def _pages(descriptor: int) -> np.ndarray:
    """mincore's byte for each page. Mapping a file brings no page of it in."""
    size = os.fstat(descriptor).st_size
    pages = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
    if size:
        mapped = np.frombuffer(mmap.mmap(descriptor, size, prot=mmap.PROT_READ), np.uint8)
        if _libc.mincore(mapped.ctypes.data, size, pages.ctypes.data):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    return pages
