"""Whose turn it is: what is compared is measured in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def rotated(things: Sequence[T], number: int) -> list[T]:
    """Each round begins with another one, so that none always runs on the machine that the same other left."""
    start = number % len(things)
    return [*things[start:], *things[:start]]
