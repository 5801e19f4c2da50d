"""What a number is a number of."""

from __future__ import annotations

from typing import TypeAlias

Place: TypeAlias = tuple[str, ...]
"""Stage and target, or whatever words a family of metrics has for it."""
WHOLE: Place = ("the whole",)
"""Of what a result has one of."""
