"""What a terminal shows of the store's work: bars while it goes on, then what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from core.store.progress import Progress as Watcher
from core.store.pull import HUB_CHECKSUM, Pulled, unfinished_bytes


@contextmanager
def draw_progress() -> Iterator[Watcher]:
    """A bar for each step, in the order they begin; nothing is drawn where the output is no terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, disable=not sys.stdout.isatty()) as display:
        tasks = {}

        def watch(description: str, done: int, total: int | None) -> None:
            if description not in tasks:
                tasks[description] = display.add_task(description, total=total)
            display.update(tasks[description], completed=done, total=total)

        yield watch


@contextmanager
def explained_interrupt(models: Path) -> Iterator[None]:
    """On Ctrl-C say what is kept, before the interrupt goes on."""
    try:
        yield
    except KeyboardInterrupt:
        kept = unfinished_bytes(models)
        advice = f"{kept / 1e6:.1f} MB are kept: the same command goes on from there" if kept else "nothing is kept"
        print(f"warmfn: interrupted; {advice}.", file=sys.stderr)
        raise


def report_pulled(pulled: Sequence[Pulled]) -> None:
    """Say of each file where it lies and what is known of its contents."""
    for file in pulled:
        print(f"{file.path}: {'fetched' if file.is_new else 'is there already'}; {_trust(file)}")


def _trust(file: Pulled) -> str:
    if file.verified_by not in (None, HUB_CHECKSUM):
        return f"its SHA-256 is that of {file.verified_by}"
    got = f"; got {file.sha256}" if file.is_new else ""
    vouched = f"; {file.verified_by} was verified" if file.verified_by else ""
    return f"no verified SHA-256 is known for it{got}{vouched}"
