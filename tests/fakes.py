"""Stand-ins that fail where the real thing would misbehave silently."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from collections.abc import Sequence as Tokens
from typing import Any

from core.engine.batch import Batch, Chunk
from core.engine.draft import DraftGovernor
from core.engine.prefill import PrefillPolicy
from core.engine.prefix import StoredPrefix
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sequence, Update
from core.engine.slots import Slots
from core.errors import DecodeFailed

VOCABULARY = 1000
END = 0


def next_token(tokens: Tokens[int]) -> int:
    """The fake model: the next token depends on every token before it, so a wrong prefix shows in the text."""
    return 1 + zlib.crc32(repr(list(tokens)).encode()) % (VOCABULARY - 1)


def reciter(tokens: Tokens[int]) -> int:
    """A model that repeats the token of 20 places before, and says something of its own about every sixth time."""
    token = next_token(tokens)
    return tokens[-20] if token % 6 and len(tokens) >= 20 else token


Model = Callable[[Tokens[int]], int]
"""The next token after these."""


def completion(prompt: Tokens[int], count: int, model: Model = next_token) -> list[int]:
    """What an undisturbed model generates."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(model(tokens))
    return tokens[len(prompt) :]


FREE_ROWS = {1: 1.0, 17: 1.0}
"""Seconds of a step by its rows where whatever matches is worth a draft."""


class FakeDecoder:
    """A decoder with a KV cache of its own: cells hold (position, token) and the ids that read them.

    With a `window` no id keeps cells that its next token would not look at.
    """

    def __init__(
        self,
        *,
        num_cells: int = 256,
        max_batch: int = 16,
        unified: bool = True,
        window: int | None = None,
        model: Model = next_token,
    ) -> None:
        self.model = model
        self.pieces = [f"{token} ".encode() for token in range(VOCABULARY)]
        self.cells: list[tuple[int, int, set[int]]] = []
        self.num_cells = num_cells
        self.unified = unified
        self.window = window
        self.max_batch = max_batch
        self.batches: list[Batch] = []
        self.opened: set[Sequence] = set()
        self.fail_next: Callable[[], None] | None = None

    def held(self, seq_id: int) -> list[int]:
        """The tokens of an id, by position; positions must have no holes and no doubles."""
        cells = sorted((position, token) for position, token, readers in self.cells if seq_id in readers)
        positions = [position for position, _ in cells]
        assert positions == list(range(positions[0], positions[-1] + 1) if positions else [])
        assert self.window or not positions or positions[0] == 0
        return [token for _, token in cells]

    def first(self, seq_id: int) -> int:
        return min((position for position, _, readers in self.cells if seq_id in readers), default=-1)

    def save(self, seq_id: int) -> bytearray:
        return bytearray(pickle.dumps((self.first(seq_id), self.held(seq_id))))

    def restore(self, seq_id: int, prefix: StoredPrefix) -> bool:
        assert not self.held(seq_id), "the target of a restore must be empty"
        state = prefix.read()
        if state is None:
            return False
        first, tokens = pickle.loads(state)
        self.cells += [(first + offset, token, {seq_id}) for offset, token in enumerate(tokens)]
        assert len(self.cells) <= self.num_cells, "the KV pool is over-full"
        return True

    def open(self, seq: Sequence) -> None:
        assert seq not in self.opened
        self.opened.add(seq)

    def close(self, seq: Sequence) -> None:
        self.opened.discard(seq)

    def slide(self, seq_id: int, length: int) -> None:
        """Drop what no later token looks at."""
        for position, _, readers in self.cells:
            if self.window and position <= length - self.window:
                readers.discard(seq_id)
        self.cells = [cell for cell in self.cells if cell[2]]

    def keep(self, seq_id: int, num_tokens: int) -> None:
        for position, _, readers in self.cells:
            if position >= num_tokens:
                readers.discard(seq_id)
        self.cells = [cell for cell in self.cells if cell[2]]

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        assert not self.held(target), "the target of a copy must be empty"
        copied = [cell for cell in self.cells if source in cell[2] and cell[0] < num_tokens]
        for position, token, readers in copied:
            if self.unified:
                readers.add(target)
            else:
                self.cells.append((position, token, {target}))

    def decode(self, batch: Batch) -> list[list[int]]:
        assert 0 < batch.num_tokens <= self.max_batch, "over-full batch"
        self.batches.append(batch)
        sampled = []
        for chunk in batch.chunks:
            seq_id = chunk.seq.slot_id
            assert seq_id is not None, "a row of an unclaimed slot"
            assert chunk.seq in self.opened
            held = len(self.held(seq_id))
            assert max(self.first(seq_id), 0) + held == chunk.start, "wrong position"
            assert held >= min(chunk.start, (self.window or chunk.start) - 1), "a hole in the window"
            assert chunk.start + chunk.num_tokens <= chunk.seq.num_reserved, "beyond what is reserved"
            for position, token in enumerate((*chunk.seq.tokens[chunk.start : chunk.end], *chunk.draft), chunk.start):
                self.cells.append((position, token, {seq_id}))
            assert len(self.cells) <= self.num_cells, "the KV pool is over-full"
            sampled.append(self._sample(chunk, seq_id) if chunk.wants_token else [])
            self.slide(seq_id, chunk.end)
        if self.fail_next:
            fail, self.fail_next = self.fail_next, None
            fail()
        return sampled

    def _sample(self, chunk: Chunk, seq_id: int) -> list[int]:
        sampled = [self._next(seq_id, chunk.end)]
        for end, token in enumerate(chunk.draft, chunk.end + 1):
            if sampled[-1] != token:
                break
            sampled.append(self._next(seq_id, end))
        return sampled

    def _next(self, seq_id: int, end: int) -> int:
        """What follows the id's tokens before position `end`, as far as the window sees them."""
        held = self.held(seq_id)[: end - max(self.first(seq_id), 0)]
        return self.model(held[-self.window :] if self.window else held)


class Stored:
    """A prefix outside the cache, as a FakeDecoder gives it away; of a sliding window only from `first` on."""

    def __init__(self, tokens: Tokens[int], *, first: int = 0, is_damaged: bool = False) -> None:
        self.tokens = list(tokens)
        self.is_ready = True
        self.num_reads = 0
        self._state = None if is_damaged else bytearray(pickle.dumps((first, self.tokens[first:])))

    def read(self) -> bytearray | None:
        self.num_reads += 1
        return self._state


def fail_decode() -> None:
    raise DecodeFailed("llama_decode returned -3")


class Listener:
    """A caller: keeps what was delivered and checks that nothing follows the last update."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def __call__(self, update: Update) -> None:
        assert not self.ended, "an update after the last one"
        self.updates.append(update)

    @property
    def ended(self) -> bool:
        return bool(self.updates) and self.updates[-1].is_last

    @property
    def last(self) -> Update:
        assert self.ended
        return self.updates[-1]

    @property
    def text(self) -> str:
        return "".join(update.text for update in self.updates)


def sequence(prompt: Tokens[int], max_tokens: int = 4, **options: Any) -> tuple[Sequence, Listener]:
    listener = Listener()
    return Sequence(list(prompt), max_tokens, listener, **{"end_tokens": frozenset({END})} | options), listener


def make_scheduler(
    decoder: FakeDecoder,
    *,
    num_slots: int = 4,
    num_holders: int = 2,
    prefill_rate: float = 32,
    min_copy: int = 1,
    governor: DraftGovernor | None = None,
) -> Scheduler:
    slots = Slots(
        decoder,
        num_slots=num_slots,
        num_holders=num_holders,
        num_cells=decoder.num_cells,
        min_copy=min_copy,
        window=decoder.window,
    )
    prefill = PrefillPolicy(decoder.max_batch, rate=lambda: prefill_rate, min_chunk=1)
    return Scheduler(slots, prefill, governor)


def text_of(tokens: Tokens[int]) -> str:
    return "".join(f"{token} " for token in tokens)
