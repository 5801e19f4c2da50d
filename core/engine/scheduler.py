"""Decides what the next decode call computes: waiting -> running -> finished, within token and KV budgets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence as List

from core.engine.batch import Batch, Chunk
from core.engine.draft import DraftGovernor, Drafts
from core.engine.prefill import PrefillPolicy, share
from core.engine.sequence import Sequence, Update
from core.engine.slots import Slots


class Scheduler:
    """Pure bookkeeping: one thread calls it, nothing in it blocks, and it never sees a tensor or a clock's tick.

    `prefill` bounds a batch and the prompt tokens in it. Without a `governor` nothing is drafted.
    """

    def __init__(self, slots: Slots, prefill: PrefillPolicy, governor: DraftGovernor | None = None) -> None:
        self.slots = slots
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._prefill = prefill
        self._governor = governor

    @property
    def has_work(self) -> bool:
        return bool(self.running or self.waiting)

    def add(self, seq: Sequence) -> None:
        self.waiting.append(seq)

    def schedule(self) -> Batch | None:
        """Admit what fits, then one row for each running stream, then chunks of prompts; drafts only where nobody waits
        for a prompt."""
        self._admit()
        streams = [seq for seq in self.running if seq.num_pending == 1]
        prompts = [seq for seq in self.running if seq.num_pending > 1]
        room = 0 if prompts else self._prefill.max_batch - len(streams)
        if self._governor and (drafts := self._governor.choose(streams, room)):
            return _with_drafts(streams, drafts, self._governor)
        chunks = [_chunk(seq, 1) for seq in streams] + self._chunks_of(prompts, len(streams))
        return _batch(chunks) if chunks else None

    def commit(self, batch: Batch, sampled: List[List[int]], pieces: list[bytes]) -> list[tuple[Sequence, Update]]:
        """Record a decoded batch and the tokens sampled for each of its chunks (`Decoder.decode`).

        Returns what callers are to be told. Finished sequences have given up their seats.
        """
        updates = []
        for chunk, tokens in zip(batch.chunks, sampled, strict=True):
            seq, num_before = chunk.seq, len(chunk.seq.tokens)
            if update := seq.extend(tokens, pieces):
                updates.append((seq, update))
            num_accepted = max(len(seq.tokens) - num_before - 1, 0)
            seq.num_computed = chunk.end + num_accepted
            self.slots.extend(seq, chunk.start, seq.num_computed)
            if chunk.draft:
                seq.num_drafted += len(chunk.draft)
                seq.num_accepted += num_accepted
                self.slots.rollback(seq)
        for seq, update in updates:
            if update.is_last:
                self._leave(seq)
        return updates

    def cancel(self, seq: Sequence) -> bool:
        """Take `seq` out wherever it is; False if it had ended already."""
        if seq in self.waiting:
            self.waiting.remove(seq)
        elif seq in self.running:
            self._leave(seq)
        else:
            return False
        return True

    def overdue(self, step_seconds: float) -> list[Sequence]:
        """What must end now, because a further step of that length would be too much."""
        return [seq for seq in (*self.running, *self.waiting) if seq.is_overdue(step_seconds)]

    def fail(self, batch: Batch) -> list[Sequence]:
        """A decode call failed: undo what it left in the cache and take its sequences out. The others go on."""
        seqs = [chunk.seq for chunk in batch.chunks]
        for seq in seqs:
            self.slots.rollback(seq)
            self._leave(seq)
        return seqs

    def _admit(self) -> None:
        """In order of arrival; a sequence whose prefix another is computing lets later ones pass and joins it then."""
        for seq in list(self.waiting):
            if not self.slots.has_seat:
                return
            if self.slots.is_computing_prefix_of(seq):
                continue
            if not self.slots.claim(seq):
                return
            self.waiting.remove(seq)
            self.running.append(seq)
            seq.admitted_at = time.perf_counter()

    def _chunks_of(self, prompts: list[Sequence], num_streams: int) -> list[Chunk]:
        if not prompts:
            return []
        budget = self._prefill.budget(num_streams, max(len(seq.tokens) for seq in self.running))
        sizes = share([seq.num_pending for seq in prompts], budget)
        return [_chunk(seq, size) for seq, size in zip(prompts, sizes, strict=True) if size]

    def _leave(self, seq: Sequence) -> None:
        self.running.remove(seq)
        self.slots.release(seq)


def _chunk(seq: Sequence, size: int, draft: tuple[int, ...] = ()) -> Chunk:
    end = seq.num_computed + size
    return Chunk(seq, seq.num_computed, end, end == len(seq.tokens), draft)


def _with_drafts(streams: list[Sequence], drafts: Drafts, governor: DraftGovernor) -> Batch:
    chunks = [_chunk(seq, 1, drafts.get(seq, ())) for seq in streams]
    return _batch(chunks, governor.slowdown([chunk.num_tokens for chunk in chunks]))


def _batch(chunks: list[Chunk], slowdown: float = 1.0) -> Batch:
    """llama.cpp computes neighbouring ids in one pass."""
    return Batch(tuple(sorted(chunks, key=lambda chunk: chunk.seq.slot_id or 0)), slowdown)
