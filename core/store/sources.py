"""Where files come from: an open set of sources, keyed by the scheme in front of the colon.

A source is called with (locator, members, into, progress): it fetches those members into files below the empty folder
`into` and returns the file of each. It verifies nothing: the caller compares hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import StoreError
from core.store.pip_wheel import fetch_from_wheel
from core.store.progress import Progress

Source = Callable[[str, Sequence[str], Path, Progress], dict[str, Path]]

SOURCES: dict[str, Source] = {"pip": fetch_from_wheel}


def fetch(source: str, members: Sequence[str], into: Path, progress: Progress) -> dict[str, Path]:
    """Fetch `members` of `source` ("scheme:locator") below `into`; raises StoreError if that cannot be done."""
    scheme, _, locator = source.partition(":")
    if scheme not in SOURCES:
        raise StoreError(f"{source}: unknown kind of source {scheme!r}; known are: {', '.join(sorted(SOURCES))}.")
    return SOURCES[scheme](locator, members, into, progress)
