"""What `warmfn pull --list` shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.store.listing import Listed

PIPE_WIDTH = 10_000
"""Where nobody looks at a screen, nothing is wrapped or cut."""


def show_gallery(models: Path, *, as_json: bool) -> None:
    """The gallery as a table, or as a JSON list of objects with the fields of `Listed` (bytes and tokens)."""
    from core.store.gallery import read_gallery
    from core.store.listing import list_gallery

    listed = list_gallery(read_gallery(models / "gallery.yaml"), models)
    if as_json:
        print(json.dumps([_json(one) for one in listed], indent=2))
    else:
        _draw(listed)


def _json(listed: Listed) -> dict[str, object]:
    memory = listed.memory and asdict(listed.memory) | {"total": listed.memory.total}
    return asdict(listed) | {"memory": memory}


def _draw(listed: Sequence[Listed]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    headings = (Column("name", no_wrap=True), "what", "size", "quant", "licence", "memory", "present")
    table = Table(*headings, box=None, pad_edge=False)
    for one in listed:
        state = one.state if one.problem is None else f"{one.state}: {one.problem}"
        cells = (one.name, one.description, _size(one.size), one.quant or "-", one.license, _memory(one), state)
        table.add_row(*map(Text, cells))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def _memory(listed: Listed) -> str:
    memory = listed.memory
    if memory is None:
        return "unknown until pulled"
    if not memory.kv_per_slot:
        return _size(memory.total)
    return f"{_size(memory.total)} ({memory.slots} x {memory.context_size} tokens)"


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "unknown"
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
