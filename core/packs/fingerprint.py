"""Which weights these are, told without reading them all: that would take longer than a pack saves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.config.weight_files import files_of
from core.errors import ModelUnusable
from core.gguf import read_header

NUM_BLOCKS, BLOCK_BYTES = 64, 4096


@dataclass(frozen=True)
class Fingerprint:
    """`header_bytes` is how long each file's header is, tensor table included; `digest` is over that, each file's size,
    its header, and NUM_BLOCKS samples of its tensors."""

    header_bytes: tuple[int, ...]
    digest: str

    def is_of(self, weights: Path) -> bool:
        """Takes milliseconds: what a header says is not looked at, only whether it is the same."""
        try:
            return _digest(files_of(weights), self.header_bytes) == self.digest
        except (OSError, ValueError):
            return False


def fingerprint(weights: Path) -> Fingerprint:
    """Of a GGUF file, or of all parts of a split one. Raises ModelUnusable."""
    files = files_of(weights)
    header_bytes = tuple(read_header(file).data_offset for file in files)
    try:
        return Fingerprint(header_bytes, _digest(files, header_bytes))
    except OSError as error:
        raise ModelUnusable(f"{weights}: cannot be read: {error.strerror}") from error


def _digest(files: Iterable[Path], header_bytes: Iterable[int]) -> str:
    """Raises ValueError where there is not one number for each file."""
    digest = hashlib.sha256()
    for file, length in zip(files, header_bytes, strict=True):
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            digest.update(b"%d %d\n" % (length, size))
            stream.seek(0)
            digest.update(stream.read(length))
            for block in range(NUM_BLOCKS):
                stream.seek(length + block * max(size - length - BLOCK_BYTES, 0) // (NUM_BLOCKS - 1))
                digest.update(stream.read(BLOCK_BYTES))
    return digest.hexdigest()
