"""Decides what the next decode call computes: waiting -> running -> finished, within token and KV budgets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from core.engine.batch import Batch, Chunk
from core.engine.sequence import Sequence, Update
from core.engine.slots import Slots

MIN_PREFILL = 64
"""Prompt tokens that a batch may always hold; fewer would read the weights too often."""


class Scheduler:
    """Pure bookkeeping: one thread calls it, nothing in it blocks, and it never sees a tensor or a clock's tick.

    `max_batch` bounds the tokens of a batch. While any stream is running, prompts together get at most
    `max_prefill_beside` tokens of it, so that readers wait for a chunk and never for a whole prompt. `max_scores`
    bounds prompt tokens x longest context: the attention scores of a pass, where they are written to memory.
    """

    def __init__(
        self,
        slots: Slots,
        *,
        max_batch: int = 1024,
        max_prefill_beside: int = 256,
        max_scores: int | None = None,
    ) -> None:
        self.slots = slots
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._max_batch = max_batch
        self._max_prefill_beside = max_prefill_beside
        self._max_scores = max_scores

    @property
    def has_work(self) -> bool:
        return bool(self.running or self.waiting)

    def add(self, seq: Sequence) -> None:
        self.waiting.append(seq)

    def schedule(self) -> Batch | None:
        """Admit what fits, then one row for each running stream, then prompt chunks in order of admission."""
        self._admit()
        streams = [seq for seq in self.running if seq.num_pending == 1]
        prompts = [seq for seq in self.running if seq.num_pending > 1]
        budget = self._prefill_budget(len(streams))
        chunks = [self._chunk(seq, 1) for seq in streams]
        for seq in prompts:
            if budget <= 0:
                break
            chunks.append(self._chunk(seq, min(seq.num_pending, budget)))
            budget -= chunks[-1].num_tokens
        chunks.sort(key=lambda chunk: chunk.seq.slot_id or 0)  # llama.cpp computes neighbouring ids in one pass
        return Batch(tuple(chunks)) if chunks else None

    def commit(self, batch: Batch, tokens: Iterable[int], pieces: list[bytes]) -> list[tuple[Sequence, Update]]:
        """Record a decoded batch and its sampled tokens (one for each chunk that wants one, in order).

        Returns what callers are to be told. Finished sequences have given up their seats.
        """
        sampled = iter(tokens)
        updates = []
        for chunk in batch.chunks:
            seq = chunk.seq
            self.slots.extend(seq, chunk.start, chunk.end)
            seq.num_computed = chunk.end
            if chunk.wants_token:
                token = next(sampled)
                if update := seq.append(token, pieces[token]):
                    updates.append((seq, update))
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

    def _prefill_budget(self, num_streams: int) -> int:
        """Prompt tokens of the next batch."""
        budget = min(self._max_batch - num_streams, self._max_prefill_beside) if num_streams else self._max_batch
        if self._max_scores is None or not self.running:
            return budget
        longest = max(len(seq.tokens) for seq in self.running)
        return min(budget, max(MIN_PREFILL, self._max_scores // longest))

    def _leave(self, seq: Sequence) -> None:
        self.running.remove(seq)
        self.slots.release(seq)

    @staticmethod
    def _chunk(seq: Sequence, size: int) -> Chunk:
        end = seq.num_computed + size
        return Chunk(seq, seq.num_computed, end, wants_token=end == len(seq.tokens))
