"""What a source is asked for, and what it can say of what it brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.store.progress import Progress


@dataclass(frozen=True)
class Wanted:
    """One file to bring: `member` is its name within the source, "" where the source is that file.

    Its bytes go to `part`. What a broken-off transfer left there stays for the next one to go on from.
    """

    member: str
    part: Path


@dataclass(frozen=True)
class Origin:
    """`revision`: the commit that a branch's name stood for. `checksum`: what the other side says of the file, an
    SHA-256 (64 hex digits) or a git blob id (40)."""

    revision: str | None = None
    checksum: str | None = None


Source = Callable[[str, Sequence[Wanted], Progress], dict[str, Origin]]
"""Called with (locator, wanted, progress); returns an Origin for each member. It verifies nothing: the caller does."""
