"""The OpenAI objects we send, built from finished or running sequences."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from core.engine.sequence import FinishReason, Sequence

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Object = dict[str, Any]

ID_PREFIXES = {"chat.completion": "chatcmpl", "text_completion": "cmpl", "edit": "edit"}


@dataclass(frozen=True)
class Heading:
    """What every object of one reply repeats: its id, time and model."""

    kind: Literal["chat.completion", "text_completion", "edit"]
    model: str
    created: int = field(default_factory=lambda: int(time.time()))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def full(self, choices: list[Object]) -> Object:
        return self._object(self.kind, choices)

    def chunk(self, choices: list[Object]) -> Object:
        return self._object("chat.completion.chunk" if self.kind == "chat.completion" else self.kind, choices)

    def _object(self, name: str, choices: list[Object]) -> Object:
        return {
            "id": f"{ID_PREFIXES[self.kind]}-{self.id}",
            "object": name,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def chat_choice(text: str, finish_reason: FinishReason | None) -> Object:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}


def chat_delta(delta: Object, finish_reason: FinishReason | None = None) -> Object:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def text_choice(index: int, text: str, finish_reason: FinishReason | None) -> Object:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def usage(seqs: Iterable[Sequence]) -> Object:
    """Tokens of all sequences. The end token counts as generated, as it was."""
    seqs = list(seqs)
    prompt, completion = sum(seq.num_prompt for seq in seqs), sum(seq.num_generated for seq in seqs)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(seq.num_cached for seq in seqs)},
    }


def timings(seq: Sequence) -> Object:
    """One finished sequence's phases in the words of llama.cpp's server, and `queue_ms`, which it lacks.

    `prompt_ms` runs from the seat to the first token, `predicted_ms` from the first token to the last, so
    `predicted_per_second` counts the tokens after the first. `draft_n` of them were computed on trial, if any were.
    """
    admitted = seq.admitted_at or seq.submitted_at
    first, last = seq.first_token_at or admitted, seq.last_token_at or admitted
    num_prompt = seq.num_prompt - seq.num_cached
    drafts = {"draft_n": seq.num_drafted, "draft_n_accepted": seq.num_accepted} if seq.num_drafted else {}
    return {
        "queue_ms": _ms(admitted - seq.submitted_at),
        "cache_n": seq.num_cached,
        "prompt_n": num_prompt,
        "prompt_ms": _ms(first - admitted),
        "prompt_per_second": _rate(num_prompt, first - admitted),
        "predicted_n": seq.num_generated,
        "predicted_ms": _ms(last - first),
        "predicted_per_second": _rate(seq.num_generated - 1, last - first),
        **drafts,
    }


def embeddings(model: str, vectors: NDArray[float32], num_tokens: int, encoding: Literal["float", "base64"]) -> Object:
    """`vectors` (n, d) as lists of numbers or as base64 of little-endian float32."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _encoded(vector) if encoding == "base64" else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    total = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    return {"object": "list", "data": data, "model": model, "usage": total}


def _encoded(vector: NDArray[float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 3) if seconds > 0 and count > 0 else None
