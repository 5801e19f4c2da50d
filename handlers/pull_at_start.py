"""PULL_MODELS: what is not here yet is fetched at start, as `warmfn pull` does, while its model counts as loading."""

from __future__ import annotations

import logging
import time
from pathlib import Path

logger = logging.getLogger("warmfn.pull")

SAY_EVERY = 5.0
"""Seconds between two lines in the log."""


def pull_model(name: str, models: Path) -> None:
    """Put the files of `name`, of the folder's gallery, into the folder. Raises StoreError."""
    from core.store.gallery import read_gallery
    from core.store.pull import pull

    for file in pull(name, models, read_gallery(models / "gallery.yaml"), _Log(name)):
        logger.info("%s: %s is %s", name, file.path, "fetched" if file.is_new else "there already")


class _Log:
    """A `Progress` in the log, since nobody looks at a terminal here."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = time.monotonic()

    def __call__(self, description: str, done: int, total: int | None) -> None:
        if time.monotonic() < self._said + SAY_EVERY:
            return
        self._said = time.monotonic()
        of_all = f" of {total / 1e6:.0f}" if total else ""
        logger.info("%s: %s: %.0f%s MB", self._name, description, done / 1e6, of_all)
