"""A text runner on a decoder that computes nothing, to see what is left of a request without its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.config.model import ModelConfig
from core.engine.batch import Batch
from core.engine.prefix import StoredPrefix
from core.engine.sequence import Sequence as Running
from core.llama.threads import Threads
from core.runners.text import TextRunner
from core.runners.text_limits import Limits

NAME = "no-model"
LIMITS = Limits(
    context_size=4096,
    slots=8,
    holders=8,
    kv="unified",
    kv_tokens=32768,
    min_copy=1,
    max_batch=1024,
    max_scores=None,
    max_drafted=0,
    default_max_tokens=16,
    max_queue=64,
)


def load_no_model(config: ModelConfig) -> TextRunner:
    return TextRunner(config, ByteModel(), NoDecoder(), LIMITS, Joined())


class ByteModel:
    """A token for each byte."""

    can_cut_memory = True
    attention_window = None
    adds_bos = False
    bos = -1
    end_tokens: frozenset[int] = frozenset()

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return list(text.encode())

    def token_text(self, token: int) -> str:
        return ""

    def check_tokens(self, tokens: Sequence[int], *, param: str) -> None: ...

    def close(self) -> None: ...


class Joined:
    """A chat template of no words of its own."""

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        return "\n".join(str(message["content"]) for message in messages)


class NoDecoder:
    """Whatever the batch, the next token is an "a"."""

    pieces = [bytes([byte]) for byte in range(256)]  # noqa: RUF012
    threads = Threads(1, 1, governed=False, name=NAME)

    def open(self, seq: Running) -> None: ...

    def close(self, seq: Running) -> None: ...

    def keep(self, seq_id: int, num_tokens: int) -> None: ...

    def copy(self, source: int, target: int, num_tokens: int) -> None: ...

    def restore(self, seq_id: int, prefix: StoredPrefix) -> bool:
        return False

    def save(self, seq_id: int) -> bytearray:
        return bytearray()

    def first(self, seq_id: int) -> int:
        return 0

    def decode(self, batch: Batch) -> list[list[int]]:
        return [[ord("a")] if chunk.wants_token else [] for chunk in batch.chunks]

    def free(self) -> None: ...
