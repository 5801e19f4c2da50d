"""Which sequence id of the KV cache holds which tokens: running seats and kept prefixes.

There are `num_slots` seats and some sequence ids more, the holders. A released sequence leaves its tokens where they
are; they stay claimable as a prefix until their cells or their id are needed. This class gives the decoder every order
that changes what an id holds (`keep`, `copy`), so the mirror here and the real cache cannot drift apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from core.engine.cells import Cells
from core.engine.sequence import Sequence

MIN_JOIN = 64
"""Prefix tokens that make it worth waiting while another sequence computes them; waiting costs about a step."""


class KVCache(Protocol):
    """The part of a decoder that moves cached tokens."""

    def keep(self, seq_id: int, num_tokens: int) -> None:
        """Cut the id down to its first `num_tokens` positions."""

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Let the empty `target` share the first `num_tokens` cells of `source`."""


@dataclass(eq=False)
class Slot:
    """One sequence id and the committed tokens it holds; idle without an owner."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    owner: Sequence | None = None
    released_at: int = 0


class Slots:
    """`can_cut` False (recurrent memory) turns prefix reuse off: such a state exists only at its last position."""

    def __init__(self, kv: KVCache, *, num_slots: int, num_holders: int, num_cells: int, can_cut: bool = True) -> None:
        self.num_slots = num_slots
        self._kv = kv
        self._can_cut = can_cut
        self._slots = [Slot(id) for id in range(num_slots + num_holders)]
        self._cells = Cells(num_cells)
        self._clock = itertools.count(1)

    @property
    def num_running(self) -> int:
        return sum(slot.owner is not None for slot in self._slots)

    @property
    def has_seat(self) -> bool:
        return self.num_running < self.num_slots

    @property
    def num_free_cells(self) -> int:
        return self._cells.num_free

    def claim(self, seq: Sequence) -> bool:
        """Seat `seq` and give it the longest cached prefix; False (and nothing changed for it) if it does not fit.

        All cells that `seq` may come to need are reserved, so a running sequence never runs out. At most
        `num_prompt - 1` tokens come from the cache: logits exist only for a token that is computed.
        """
        if not self.has_seat:
            return False
        source, num_cached = self._longest_prefix(seq)
        slot = self._seat_for(seq, source, num_cached)
        num_kept = num_cached if slot is source else 0
        self._cut(slot, num_kept)
        if not self._make_room(seq.num_reserved - num_cached, spare=(slot, source)):
            return False
        if source is not None and slot is not source:
            self._copy(source, slot, num_cached)
        slot.owner = seq
        seq.slot_id, seq.num_cached, seq.num_computed = slot.id, num_cached, num_cached
        return True

    def is_computing_prefix_of(self, seq: Sequence) -> bool:
        """Whether a running sequence will soon hold a markedly longer prefix of `seq` than the cache does now."""
        if not self._can_cut:
            return False
        owners = [slot.owner for slot in self._slots if slot.owner and slot.owner.num_computed < slot.owner.num_prompt]
        coming = max((common_prefix(owner.prompt, seq.prompt) for owner in owners), default=0)
        return coming >= MIN_JOIN and coming - self._longest_prefix(seq)[1] >= MIN_JOIN

    def extend(self, seq: Sequence, start: int, end: int) -> None:
        """Record that `seq.tokens[start:end]` were computed."""
        slot = self._slot(seq)
        assert len(slot.tokens) == start
        slot.tokens += seq.tokens[start:end]
        slot.cells += self._cells.take(end - start)

    def rollback(self, seq: Sequence) -> None:
        """After a failed decode: remove whatever it left beyond the recorded tokens."""
        slot = self._slot(seq)
        if not self._can_cut:
            self._cut(slot, 0)
        self._kv.keep(slot.id, len(slot.tokens))

    def release(self, seq: Sequence) -> None:
        """End the seat. What it computed stays claimable."""
        slot = self._slot(seq)
        slot.owner, seq.slot_id = None, None
        slot.released_at = next(self._clock)

    def _slot(self, seq: Sequence) -> Slot:
        assert seq.slot_id is not None
        assert self._slots[seq.slot_id].owner is seq
        return self._slots[seq.slot_id]

    def _idle(self) -> Iterator[Slot]:
        return (slot for slot in self._slots if slot.owner is None)

    def _longest_prefix(self, seq: Sequence) -> tuple[Slot | None, int]:
        if not self._can_cut:
            return None, 0
        usable = seq.prompt[:-1]
        matches = ((common_prefix(slot.tokens, usable), slot.owner is None, slot) for slot in self._slots)
        length, _, source = max(matches, key=lambda match: match[:2])
        return (source, length) if length else (None, 0)

    def _seat_for(self, seq: Sequence, source: Slot | None, num_cached: int) -> Slot:
        """The source itself if it is idle and loses little, or cells are short; else the idle slot used longest ago."""
        if source is not None and source.owner is None:
            loses_little = 2 * num_cached >= len(source.tokens)
            if loses_little or self._num_promised() + seq.num_reserved - num_cached > self._cells.num_free:
                return source
        others = [slot for slot in self._idle() if slot is not source]
        if source is not None and not others:
            return source
        return min(others, key=lambda slot: (bool(slot.tokens), slot.released_at))

    def _num_promised(self) -> int:
        """Cells that running sequences were promised and have not taken yet."""
        return sum(slot.owner.num_reserved - len(slot.cells) for slot in self._slots if slot.owner)

    def _make_room(self, count: int, spare: tuple[Slot | None, ...]) -> bool:
        """Forget idle prefixes, oldest first, until `count` cells are free beside all promises."""
        needed = self._num_promised() + count
        victims = sorted((s for s in self._idle() if s.tokens and s not in spare), key=lambda slot: slot.released_at)
        for victim in victims:
            if self._cells.num_free >= needed:
                break
            self._cut(victim, 0)
        return self._cells.num_free >= needed

    def _cut(self, slot: Slot, num_tokens: int) -> None:
        if len(slot.tokens) > num_tokens:
            self._kv.keep(slot.id, num_tokens)
            self._cells.drop(slot.cells[num_tokens:])
            del slot.tokens[num_tokens:], slot.cells[num_tokens:]

    def _copy(self, source: Slot, target: Slot, num_tokens: int) -> None:
        self._kv.copy(source.id, target.id, num_tokens)
        target.tokens = source.tokens[:num_tokens]
        target.cells = source.cells[:num_tokens]
        self._cells.share(target.cells)


def common_prefix(a: list[int], b: list[int]) -> int:
    """How many leading tokens agree; bisects on slices, whose comparison runs in C."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
