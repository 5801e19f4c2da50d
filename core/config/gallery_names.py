"""Which models the gallery.yaml of a folder can fetch; `core.store.gallery` reads the rest of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from core.config.document import DocumentError, parse_document

GALLERY = "gallery.yaml"


def gallery_names(root: Path) -> frozenset[str]:
    """Empty where there is no gallery, or none that can be read."""
    path = root / GALLERY
    try:
        status = path.stat()
    except OSError:
        return frozenset()
    return _names(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _names(path: Path, size: int, mtime_ns: int) -> frozenset[str]:
    try:
        value = parse_document(path.read_text("utf-8")).value
    except (OSError, UnicodeDecodeError, DocumentError):
        return frozenset()
    return frozenset(value) if isinstance(value, Mapping) else frozenset()
