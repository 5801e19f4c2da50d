"""Draws the store's progress in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from core.store.progress import Progress as Watcher


@contextmanager
def draw_progress() -> Iterator[Watcher]:
    """A bar for each step, in the order they begin; nothing is drawn where the output is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as display:
        tasks = {}

        def watch(description: str, done: int, total: int | None) -> None:
            if description not in tasks:
                tasks[description] = display.add_task(description, total=total)
            display.update(tasks[description], completed=done, total=total)

        yield watch
