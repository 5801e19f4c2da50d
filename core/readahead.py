"""Weights are read into the page cache before they are loaded, where the medium rewards several readers at once.

llama.cpp maps a file and has the kernel read it ahead, in one stream. A local disk gives a stream all that it has. What
answers late but many at a time, such as a network volume or a bucket, gives each stream little, so that several are
faster together. Which of the two a medium is, the file itself tells: a moment of reading by one, a moment by several.

Invariant: what lies in the page cache is not read again, and nothing is read that would not fit into memory.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

from core import coldstart
from core.host import available_memory

logger = logging.getLogger("warmfn.readahead")

READERS = 8
BLOCK = 2 << 20
"""Bytes of one read."""

PROBE_SECONDS = 0.1
PROBE_BLOCKS = 32
"""As many as memory gives in some milliseconds, where the system does not tell that it would."""

MIN_SIZE = 16 * BLOCK
"""Of a smaller file nothing is left to gain once it is probed."""

MIN_GAIN = 1.3
"""How much faster several readers must be: less may be chance."""

FAST_ENOUGH = 1e9
"""Bytes per second: memory, or what is as good."""

PLACES = 32
"""Pages that are looked for in the page cache."""


def read_ahead(files: Iterable[Path]) -> None:
    """Read those that are worth it. Never raises: whoever loads a file that cannot be read says so better."""
    memory = available_memory()
    for file in files:
        try:
            size = file.stat().st_size
            if MIN_SIZE <= size <= (math.inf if memory is None else memory):
                _read_ahead(file, size)
        except OSError as error:
            logger.warning("%s is not read ahead: %s", file.name, error)


def choose(one: float, several: float, again: float) -> Literal["readers", "mmap"]:
    """By the bytes per second of one reader, of several together, and of who opens the file anew and reads what was
    read: some network file systems forget it when a file is closed."""
    return "readers" if MIN_GAIN * one <= several < again else "mmap"


def _read_ahead(path: Path, size: int) -> None:
    with _opened(path) as file:
        if not is_cached(file, size):
            with coldstart.phase("read_ahead"):
                _read_by_choice(file, path, iter(range(0, size, BLOCK)))


def _read_by_choice(file: int, path: Path, blocks: Iterator[int]) -> None:
    one = _read(file, islice(blocks, PROBE_BLOCKS), 1, PROBE_SECONDS)
    if one >= FAST_ENOUGH:
        return
    several = _read(file, blocks, READERS, PROBE_SECONDS)
    with _opened(path) as reopened:
        again = _read(reopened, iter([0]), 1)
    chosen = choose(one, several, again)
    rates = f"{one / 1e6:.0f} MB/s by one reader, {several / 1e6:.0f} by {READERS}, {again / 1e6:.0f} the second time"
    logger.info("%s: %s: %s", path.name, rates, "read ahead" if chosen == "readers" else "only mapped")
    if chosen == "readers":
        _read(file, blocks, READERS)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)


def is_cached(file: int, size: int) -> bool:
    """Whether most of the file lies in the page cache; False also where the system does not tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    step = max(size // PLACES, 1)
    cached = [_answers_at_once(file, offset) for offset in range(0, size, step)]
    return 2 * sum(cached) > len(cached)


def _answers_at_once(file: int, offset: int) -> bool:
    """A read that would have to wait for the medium fails instead; some file systems know no such read."""
    try:
        os.preadv(file, [bytearray(1)], offset, os.RWF_NOWAIT)
    except OSError:
        return False
    return True


def _read(file: int, blocks: Iterator[int], num_readers: int, seconds: float = math.inf) -> float:
    """Read the next of `blocks`, at least one by each reader, for so long or to the end; bytes per second."""
    sizes: list[int] = []
    faults: list[OSError] = []
    started = time.monotonic()

    def work() -> None:
        buffer = bytearray(BLOCK)
        try:
            for offset in blocks:
                sizes.append(os.preadv(file, [buffer], offset))
                if time.monotonic() >= started + seconds:
                    break
        except OSError as error:
            faults.append(error)

    readers = [threading.Thread(target=work, name="read-ahead", daemon=True) for _ in range(num_readers)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    if faults:
        raise faults[0]
    return sum(sizes) / max(time.monotonic() - started, 1e-9)
