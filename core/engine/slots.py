"""Which sequence id of the KV cache holds which tokens: running seats and kept prefixes.

There are `num_slots` seats and some sequence ids more, the holders. A released sequence leaves its tokens where they
are; they stay claimable as a prefix until their cells or their id are needed. This class gives the decoder every order
that changes what an id holds (`keep`, `copy`), so the mirror here and the real cache cannot drift apart.
"""

from __future__ import annotations

import itertools
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

    @property
    def expected(self) -> list[int]:
        """What it will hold once its owner's tokens are computed. Any thread may ask."""
        owner = self.owner
        return owner.tokens if owner else self.tokens


class Slots:
    """`min_copy`: tokens a copied prefix must save, 1 where copying only marks cells and more where it moves them.
    `can_cut` False (recurrent memory) turns prefix reuse off: such a state exists only at its last position."""

    def __init__(
        self,
        kv: KVCache,
        *,
        num_slots: int,
        num_holders: int,
        num_cells: int,
        min_copy: int = 1,
        can_cut: bool = True,
    ) -> None:
        self.num_slots = num_slots
        self._kv = kv
        self._min_copy = min_copy
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
        """Seat `seq` on the longest cached prefix; False if it does not fit now.

        All cells that `seq` may come to need are reserved, so a running sequence never runs out. At most
        `num_prompt - 1` tokens come from the cache: logits exist only for a token that is computed.
        """
        if not self.has_seat:
            return False
        shared = self._shared_with(seq)
        seat = self._choose_seat(shared)
        source = max(self._slots, key=shared.__getitem__)
        if shared[source] < shared[seat] + self._min_copy:
            source = seat
        num_cached = shared[source]
        self._cut(seat, num_cached if source is seat else 0)
        if not self._make_room(seq.num_reserved - num_cached, seat, source, num_cached):
            return False
        if source is not seat:
            self._copy(source, seat, num_cached)
        seat.owner = seq
        seq.slot_id, seq.num_cached, seq.num_computed = seat.id, num_cached, num_cached
        return True

    def is_computing_prefix_of(self, seq: Sequence) -> bool:
        """Whether a running sequence will soon hold a markedly longer prefix of `seq` than the cache does now."""
        if not self._can_cut:
            return False
        owners = [slot.owner for slot in self._slots if slot.owner and slot.owner.num_computed < slot.owner.num_prompt]
        coming = max((common_prefix(owner.prompt, seq.prompt) for owner in owners), default=0)
        enough = max(MIN_JOIN, self._min_copy)
        return coming >= enough and coming - max(self._shared_with(seq).values()) >= enough

    def num_missing(self, prompt: list[int]) -> int:
        """How much of `prompt` neither lies in the cache nor is on its way there. Any thread may ask."""
        usable = prompt[:-1] if self._can_cut else []
        return len(prompt) - max(common_prefix(slot.expected, usable) for slot in self._slots)

    def extend(self, seq: Sequence, start: int, end: int) -> None:
        """Record that `seq.tokens[start:end]` were computed."""
        slot = self._slot(seq)
        assert len(slot.tokens) == start
        slot.tokens += seq.tokens[start:end]
        slot.cells += self._cells.take(end - start)

    def rollback(self, seq: Sequence) -> None:
        """Remove what a decode left beyond the recorded tokens: a failed one, or one with drafts that were wrong."""
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

    def _shared_with(self, seq: Sequence) -> dict[Slot, int]:
        """For each slot, how many leading tokens it holds that `seq` could reuse."""
        usable = seq.prompt[:-1] if self._can_cut else []
        return {slot: common_prefix(slot.tokens, usable) for slot in self._slots}

    def _choose_seat(self, shared: dict[Slot, int]) -> Slot:
        """The idle slot that shares most, if it loses little by being taken; else an empty one; else the one used
        longest ago. Low ids first: neighbours are computed in one pass where each id has a cache of its own."""
        idle = [slot for slot in self._slots if slot.owner is None]
        fitting = [slot for slot in idle if shared[slot] and 2 * shared[slot] >= len(slot.tokens)]
        if fitting:
            return max(fitting, key=shared.__getitem__)
        return min(idle, key=lambda slot: (bool(slot.tokens), slot.released_at))

    def _num_promised(self) -> int:
        """Cells that running sequences were promised and have not taken yet."""
        return sum(slot.owner.num_reserved - len(slot.cells) for slot in self._slots if slot.owner)

    def _make_room(self, count: int, seat: Slot, source: Slot, num_cached: int) -> bool:
        """Forget idle prefixes, oldest first and what `source` holds beyond the prefix last, until `count` cells are
        free beside all promises."""
        needed = self._num_promised() + count
        others = [s for s in self._slots if s.owner is None and s.tokens and s is not seat and s is not source]
        for victim in sorted(others, key=lambda slot: slot.released_at):
            if self._cells.num_free >= needed:
                break
            self._cut(victim, 0)
        if self._cells.num_free < needed and source.owner is None:
            self._cut(source, num_cached)
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
