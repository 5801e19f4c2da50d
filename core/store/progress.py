"""How a long transfer tells its watcher where it is; a terminal draws it, a test records it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def __call__(self, description: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of the step named `description`; `total` is None where nobody knows it.

        What it raises stops the transfer, which then leaves nothing behind.
        """


def silent(description: str, done: int, total: int | None) -> None:
    """A watcher that does not care."""
