"""How a text model's memory and batches are divided among requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Limits:
    """How a text model's memory and batches are divided, in tokens, but for `slots`, `holders` and `max_queue`, which
    count sequences. `min_copy` and `max_scores` as in `Slots` and `PrefillPolicy`; with a `max_drafted` of 0 nothing is
    drafted."""

    context_size: int
    slots: int
    holders: int
    kv: Literal["unified", "split"]
    kv_tokens: int
    min_copy: int
    max_batch: int
    max_scores: int | None
    max_drafted: int
    default_max_tokens: int
    max_queue: int
