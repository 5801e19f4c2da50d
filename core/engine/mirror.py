"""What each sequence id of the KV cache holds, kept true by giving the cache every order that changes it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Protocol

from core.engine.cells import Cells
from core.engine.prefix import StoredPrefix
from core.engine.sequence import Sequence


class KVCache(Protocol):
    """The part of a decoder that moves cached tokens."""

    def keep(self, seq_id: int, num_tokens: int) -> None:
        """Cut the id down to its first `num_tokens` positions."""

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Let the empty `target` share the first `num_tokens` cells of `source`."""

    def restore(self, seq_id: int, prefix: StoredPrefix) -> bool:
        """Fill the empty id with all of `prefix`. False if it cannot be used, and the id is empty then."""

    def first(self, seq_id: int) -> int:
        """The position from which on all cells of the id are there, -1 if none is. A sliding window drops old ones."""


@dataclass(eq=False)
class Slot:
    """One sequence id and the committed tokens it holds; idle without an owner."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    owner: Sequence | None = None
    used_at: int = 0

    @property
    def expected(self) -> list[int]:
        """What it will hold once its owner's tokens are computed. Any thread may ask."""
        owner = self.owner
        return owner.tokens if owner else self.tokens


class Mirror:
    """`window`: tokens that a sliding attention window looks back, None where all are looked at. Time is counted in
    uses."""

    def __init__(self, kv: KVCache, *, num_ids: int, num_cells: int, window: int | None = None) -> None:
        self.slots = [Slot(id) for id in range(num_ids)]
        self.window = window
        self._kv = kv
        self._cells = Cells(num_cells)
        self._clock = itertools.count(1)

    @property
    def idle(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.owner is None]

    @property
    def num_spare_cells(self) -> int:
        """Cells that are neither in use nor promised to a running sequence."""
        promised = sum(slot.owner.num_reserved - len(slot.cells) for slot in self.slots if slot.owner)
        return self._cells.num_free - promised

    def now(self) -> int:
        return next(self._clock)

    def usable(self, slot: Slot, num_tokens: int) -> int:
        """`num_tokens` if a sequence can go on behind that many of `slot`, else 0: its window must still be there."""
        if not num_tokens or self.window is None:
            return num_tokens
        return num_tokens if 0 <= self._kv.first(slot.id) <= max(num_tokens - self.window + 1, 0) else 0

    def extend(self, slot: Slot, tokens: list[int]) -> None:
        """Record that `tokens` were computed."""
        slot.tokens += tokens
        slot.cells += self._cells.take(len(tokens))

    def cut(self, slot: Slot, num_tokens: int) -> None:
        if len(slot.tokens) > num_tokens:
            self._kv.keep(slot.id, num_tokens)
            self._cells.drop(slot.cells[num_tokens:])
            del slot.tokens[num_tokens:], slot.cells[num_tokens:]

    def cut_to_recorded(self, slot: Slot) -> None:
        """Remove what a decode left beyond the recorded tokens."""
        self._kv.keep(slot.id, len(slot.tokens))

    def copy(self, source: Slot, target: Slot, num_tokens: int) -> None:
        self._kv.copy(source.id, target.id, num_tokens)
        source.used_at = self.now()
        target.tokens = source.tokens[:num_tokens]
        target.cells = source.cells[:num_tokens]
        self._cells.share(target.cells)

    def restore(self, slot: Slot, prefix: StoredPrefix) -> bool:
        """Whether the empty slot now holds all of `prefix`, as if a sequence had just left it there."""
        if not self._kv.restore(slot.id, prefix):
            return False
        self.extend(slot, prefix.tokens)
        slot.used_at = self.now()
        return True
