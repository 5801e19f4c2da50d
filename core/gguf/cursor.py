"""Reads little-endian values from a binary stream, forward only, and never more than a real header has."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from core.errors import ModelUnusable

MAX_HEADER_BYTES = 1 << 28
MAX_TEXT_BYTES = 1 << 24
BUFFER_BYTES = 1 << 20


class Cursor:
    """Raises ModelUnusable, beginning with `name`, where the stream ends early or a length cannot be true."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.position = 0
        self._stream = stream

    def uint32(self) -> int:
        return int.from_bytes(self._read(4), "little")

    def uint64(self) -> int:
        return int.from_bytes(self._read(8), "little")

    def number(self, layout: str) -> Any:
        """One value of `layout`, as the struct module writes it."""
        return struct.unpack(layout, self._read(struct.calcsize(layout)))[0]

    def text(self) -> bytes:
        length = self.uint64()
        if length > MAX_TEXT_BYTES:
            raise self.damaged(f"a text of {length} bytes is announced")
        return self._read(length)

    def word(self) -> str:
        return self.text().decode("utf-8", "replace")

    def skip(self, num_bytes: int) -> None:
        self.require(num_bytes)
        while num_bytes > 0:
            num_bytes -= len(self._read(min(num_bytes, BUFFER_BYTES)))

    def require(self, num_bytes: int) -> None:
        """Refuse what would make the header longer than any real one is, before it is read."""
        if self.position + num_bytes > MAX_HEADER_BYTES:
            raise self.damaged(f"its header would have more than {MAX_HEADER_BYTES} bytes")

    def damaged(self, reason: str) -> ModelUnusable:
        return ModelUnusable(
            f"{self.name} is damaged near byte {self.position}: {reason}. Compare its SHA-256 with the publisher's, "
            "or download it again."
        )

    def _read(self, num_bytes: int) -> bytes:
        self.require(num_bytes)
        data = self._stream.read(num_bytes)
        self.position += len(data)
        if len(data) < num_bytes:
            raise ModelUnusable(
                f"{self.name} is cut short: it ends after {self.position} bytes, within its header. Download it again."
            )
        return data
