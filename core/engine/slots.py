"""Which sequence runs on which sequence id of the KV cache, and which prefixes the others keep.

There are `num_slots` seats and some sequence ids more, the holders. A released sequence leaves its tokens where they
are; they stay claimable as a prefix until their cells or their id are needed. Prefixes that lie in files come back as
if a sequence had just left them.
"""

from __future__ import annotations

from collections.abc import Sequence as List

from core.engine.mirror import KVCache, Mirror, Slot
from core.engine.prefix import StoredPrefix, common_prefix, costs_of_losing
from core.engine.sequence import Sequence

MIN_JOIN = 64
"""Prefix tokens that make it worth waiting while another sequence computes them."""

MIN_WAIT = 16
"""Those still missing that make it worth one more step, which is short if all who share the prefix wait."""

MIN_RESTORE = 64
"""Tokens that a stored prefix must save: reading any back takes a while."""


class Slots:
    """`min_copy`: tokens a copied prefix must save, 1 where copying only marks cells and more where it moves them.
    `can_cut` False (recurrent memory) turns prefix reuse off: such a state exists only at its last position. `window`:
    tokens that a sliding attention window looks back, None where all are looked at.

    `stored` are prefixes that can be read back.
    """

    def __init__(
        self,
        kv: KVCache,
        *,
        num_slots: int,
        num_holders: int,
        num_cells: int,
        min_copy: int = 1,
        can_cut: bool = True,
        window: int | None = None,
    ) -> None:
        self.num_slots = num_slots
        self.stored: tuple[StoredPrefix, ...] = ()
        self._min_copy = min_copy
        self._can_cut = can_cut
        self._mirror = Mirror(kv, num_ids=num_slots + num_holders, num_cells=num_cells, window=window)
        self._slots = self._mirror.slots

    @property
    def num_running(self) -> int:
        return sum(slot.owner is not None for slot in self._slots)

    @property
    def has_seat(self) -> bool:
        return self.num_running < self.num_slots

    def claim(self, seq: Sequence) -> bool:
        """Seat `seq` on the longest cached prefix; False if it does not fit now.

        All cells that `seq` may come to need are reserved, so a running sequence never runs out. At most
        `num_prompt - 1` tokens come from the cache: logits exist only for a token that is computed.
        """
        if not self.has_seat:
            return False
        self._bring_back(seq)
        shared = self._shared_with(seq)
        seat = self._choose_seat(shared)
        source = max(self._slots, key=shared.__getitem__)
        if shared[source] < shared[seat] + self._min_copy:
            source = seat
        num_cached = shared[source]
        self._mirror.cut(seat, num_cached if source is seat else 0)
        if not self._make_room(seq.num_reserved - num_cached, seat, source, num_cached):
            return False
        if source is not seat:
            self._mirror.copy(source, seat, num_cached)
        seat.owner = seq
        seq.slot_id, seq.num_cached, seq.num_computed = seat.id, num_cached, num_cached
        return True

    def is_computing_prefix_of(self, seq: Sequence) -> bool:
        """Whether a running sequence will soon hold a markedly longer prefix of `seq` than the cache does now."""
        if not self._can_cut:
            return False
        owners = [slot.owner for slot in self._slots if slot.owner and slot.owner.num_computed < slot.owner.num_prompt]
        coming = max((common_prefix(owner.prompt, seq.prompt) for owner in owners), default=0)
        if coming < max(MIN_JOIN, self._min_copy):
            return False
        return coming - max(self._stored_for(seq)[1], *self._shared_with(seq).values()) >= MIN_WAIT

    def restore_all(self, stored: List[StoredPrefix]) -> int:
        """Have these prefixes in store. Read back those that fit beside one another, the first first; how many."""
        self.stored = tuple(stored)
        first = stored[: len(self._slots)]
        return sum(self._mirror.num_spare_cells >= len(prefix.tokens) and self.restore(prefix) for prefix in first)

    def restore(self, prefix: StoredPrefix) -> bool:
        """Read `prefix` back into the idle id that is worth least, as if a sequence had just left it there.

        False if there is no room for it. One that cannot be used any more is not tried again.
        """
        idle = self._mirror.idle
        if not idle:
            return False
        slot = self._worth_least(idle)
        self._mirror.cut(slot, 0)
        if not self._make_room(len(prefix.tokens), slot, slot, 0):
            return False
        if self._mirror.restore(slot, prefix):
            return True
        self.drop(prefix)
        return False

    def drop(self, prefix: StoredPrefix) -> None:
        """It cannot be used any more."""
        self.stored = tuple(other for other in self.stored if other is not prefix)

    def forget(self) -> None:
        """Empty all idle ids."""
        for slot in self._mirror.idle:
            self._mirror.cut(slot, 0)

    def isolate(self, tokens: list[int]) -> int | None:
        """An idle id that holds these tokens and, from now on, none behind them; None if there is none."""
        size = len(tokens)
        holding = [
            slot for slot in self._mirror.idle if slot.tokens[:size] == tokens and self._mirror.usable(slot, size)
        ]
        if not holding:
            return None
        slot = min(holding, key=lambda slot: len(slot.tokens))
        self._mirror.cut(slot, len(tokens))
        return slot.id

    def num_missing(self, prompt: list[int]) -> int:
        """How much of `prompt` neither lies in the cache nor is on its way there. Any thread may ask."""
        usable = prompt[:-1] if self._can_cut else []
        held = (*(slot.expected for slot in self._slots), *(prefix.tokens for prefix in self.stored))
        return len(prompt) - max(common_prefix(tokens, usable) for tokens in held)

    def extend(self, seq: Sequence, start: int, end: int) -> None:
        """Record that `seq.tokens[start:end]` were computed."""
        slot = self._slot(seq)
        assert len(slot.tokens) == start
        self._mirror.extend(slot, seq.tokens[start:end])

    def rollback(self, seq: Sequence) -> None:
        """Remove what a decode left beyond the recorded tokens: a failed one, or one with drafts that were wrong."""
        slot = self._slot(seq)
        if not self._can_cut:
            self._mirror.cut(slot, 0)
        self._mirror.cut_to_recorded(slot)

    def release(self, seq: Sequence) -> None:
        """End the seat. What it computed stays claimable."""
        slot = self._slot(seq)
        slot.owner, seq.slot_id = None, None
        slot.used_at = self._mirror.now()

    def _slot(self, seq: Sequence) -> Slot:
        assert seq.slot_id is not None
        assert self._slots[seq.slot_id].owner is seq
        return self._slots[seq.slot_id]

    def _shared_with(self, seq: Sequence) -> dict[Slot, int]:
        """For each slot, how many leading tokens it holds that `seq` could reuse."""
        usable = seq.prompt[:-1] if self._can_cut else []
        return {slot: self._mirror.usable(slot, common_prefix(slot.tokens, usable)) for slot in self._slots}

    def _stored_for(self, seq: Sequence) -> tuple[StoredPrefix | None, int]:
        """The stored prefix that is ready and has the longest usable part of `seq`, and how long that is.

        One is read back whole, so most of it should be of use; with a window, what is cut off would be missed.
        """
        best, longest = None, 0
        for prefix in self.stored if self._can_cut else ():
            shared = common_prefix(prefix.tokens, seq.prompt[:-1]) if prefix.is_ready else 0
            least = len(prefix.tokens) if self._mirror.window else len(prefix.tokens) // 2
            if shared > longest and shared >= least:
                best, longest = prefix, shared
        return best, longest

    def _bring_back(self, seq: Sequence) -> None:
        """Read a stored prefix back if it begins `seq` with markedly more tokens than what the cache holds."""
        prefix, length = self._stored_for(seq)
        if prefix and length >= MIN_RESTORE + max(self._shared_with(seq).values()):
            self.restore(prefix)

    def _choose_seat(self, shared: dict[Slot, int]) -> Slot:
        """The idle slot that shares most, if it loses little by being taken; else the one that is worth least."""
        fitting = [slot for slot in self._mirror.idle if shared[slot] and 2 * shared[slot] >= len(slot.tokens)]
        return max(fitting, key=shared.__getitem__) if fitting else self._worth_least(self._mirror.idle)

    def _worth_least(self, slots: List[Slot]) -> Slot:
        """By what it would cost to have its tokens again, over the time since they were of use.

        An empty one before all. Low ids first: neighbours are computed in one pass where each id has its own cache.
        """
        holding = [slot for slot in self._slots if slot.tokens]
        costs = dict(zip(holding, costs_of_losing([slot.tokens for slot in holding], self.stored), strict=True))
        now = self._mirror.now()
        return min(slots, key=lambda slot: (bool(slot.tokens), costs.get(slot, 0) / (now - slot.used_at), slot.used_at))

    def _make_room(self, count: int, seat: Slot, source: Slot, num_cached: int) -> bool:
        """Forget idle prefixes, those worth least first and what `source` holds beyond the prefix last, until `count`
        cells are spare."""
        others = [slot for slot in self._mirror.idle if slot.tokens and slot is not seat and slot is not source]
        while self._mirror.num_spare_cells < count and others:
            victim = self._worth_least(others)
            others.remove(victim)
            self._mirror.cut(victim, 0)
        if self._mirror.num_spare_cells < count and source.owner is None:
            self._mirror.cut(source, num_cached)
        return self._mirror.num_spare_cells >= count
