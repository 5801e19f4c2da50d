"""One request inside the engine: the only record of its tokens, place and progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from core.engine.deadline import Deadline
from core.engine.lookup import PromptLookup
from core.engine.text import TextStream
from core.errors import CoreError, DeadlineExceeded

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the defaults are neutral. `temperature` 0 is greedy, `seed` None is random.

    Penalties see the last `repeat_last_n` tokens of prompt and completion. `mirostat` 1 and 2 are its two versions.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: Literal[0, 1, 2] = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """What a sequence tells its caller. The last one, and only that, has a `finish_reason` or an `error`."""

    text: str = ""
    finish_reason: FinishReason | None = None
    error: CoreError | None = None

    @property
    def is_last(self) -> bool:
        return self.finish_reason is not None or self.error is not None


@dataclass(eq=False)
class Sequence:
    """`tokens[:num_computed]` are in the KV cache, the rest is still to be computed. `was_cut` at its `deadline`.

    With `looks_up` it foretells its own tokens: of `num_drafted` tokens that were computed on trial `num_accepted` came
    true.

    `deliver` is called on the engine's thread: it must neither block nor raise.
    """

    prompt: list[int]
    max_tokens: int
    deliver: Callable[[Update], None]
    sampling: Sampling = Sampling()
    end_tokens: frozenset[int] = frozenset()
    text: TextStream = field(default_factory=TextStream)
    deadline: Deadline | None = None
    looks_up: bool = False

    tokens: list[int] = field(init=False)
    slot_id: int | None = field(init=False, default=None)
    num_computed: int = field(init=False, default=0)
    num_cached: int = field(init=False, default=0)
    finish_reason: FinishReason | None = field(init=False, default=None)
    was_cut: bool = field(init=False, default=False)
    lookup: PromptLookup | None = field(init=False, default=None)
    num_drafted: int = field(init=False, default=0)
    num_accepted: int = field(init=False, default=0)

    submitted_at: float = field(init=False, default_factory=time.perf_counter)
    admitted_at: float | None = field(init=False, default=None)
    first_token_at: float | None = field(init=False, default=None)
    last_token_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.tokens = list(self.prompt)
        if self.looks_up:
            self.lookup = PromptLookup(self.tokens)

    @property
    def num_prompt(self) -> int:
        return len(self.prompt)

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - len(self.prompt)

    @property
    def num_pending(self) -> int:
        """Tokens to compute before the next one can be sampled: 1 for a running stream, more for a prompt."""
        return len(self.tokens) - self.num_computed

    @property
    def num_reserved(self) -> int:
        """KV cells the sequence may come to need."""
        return len(self.prompt) + self.max_tokens

    def append(self, token: int, piece: bytes) -> Update | None:
        """Take a sampled token; what the caller should be told, if anything."""
        self.last_token_at = time.perf_counter()
        self.first_token_at = self.first_token_at or self.last_token_at
        self.tokens.append(token)
        if self.lookup:
            self.lookup.observe()
        if token in self.end_tokens:
            self.finish_reason = "stop"
            return Update(self.text.flush(), "stop")
        text = self.text.feed(piece)
        if self.text.stopped:
            self.finish_reason = "stop"
        elif self.num_generated == self.max_tokens:
            self.finish_reason = "length"
            text += self.text.flush()
        return Update(text, self.finish_reason) if text or self.finish_reason else None

    def extend(self, tokens: Iterable[int], pieces: list[bytes]) -> Update | None:
        """Take what one step sampled, up to the sequence's end: what a draft brought beyond it was never asked for."""
        text = ""
        for token in tokens:
            if update := self.append(token, pieces[token]):
                text += update.text
            if self.finish_reason:
                break
        return Update(text, self.finish_reason) if text or self.finish_reason else None

    def is_overdue(self, step_seconds: float) -> bool:
        """Whether it would be late after one more step of that length."""
        return self.deadline is not None and self.deadline.left < step_seconds

    def cut(self) -> Update:
        """End at the deadline: with the text there is, or with an error where there is none."""
        if self.num_generated:
            self.was_cut, self.finish_reason = True, "length"
            return Update(self.text.flush(), "length")
        state = f"{self.num_computed} of {self.num_prompt} prompt tokens are computed"
        error = DeadlineExceeded(
            f"no token came within {self.deadline}: {state if self.num_computed else 'the request was still waiting'}",
            prompt_tokens=self.num_prompt,
            computed_tokens=self.num_computed,
        )
        return Update(error=error)
