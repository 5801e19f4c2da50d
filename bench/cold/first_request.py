"""What a server is asked first: a prompt of some length, or one that begins as the model's YAML says prompts begin."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from bench.cold.result import Knowledge
from bench.scenario import Workload
from bench.text import nonce, words
from bench.token_fit import USUAL
from bench.workload import Message, Prompt
from core.config.backends import choose_backend
from core.config.model import ModelConfig
from core.config.prefixes import Prefix

OUTPUT_TOKENS = 8
"""A first token alone may show no text: half a character, or what might become a stop string."""


@dataclass(frozen=True)
class FirstRequest:
    """`num_tokens` of a user's message, by the usual count; what the server counted is in the result. With a `prefix`
    of the model's YAML before them: known as it stands there, or new behind a word that nobody has seen."""

    num_tokens: int
    embeds: bool = False
    prefix: Prefix | None = None
    knows_prefix: Knowledge | None = None

    @property
    def name(self) -> str:
        return f"{self.knows_prefix} prefix" if self.knows_prefix else f"{self.num_tokens} tokens"

    @property
    def workload(self) -> Workload:
        if self.embeds:
            return Workload(api="embeddings")
        return Workload(api="completions" if self.prefix and self.prefix.text else "chat")

    def prompt(self, *place: object) -> Prompt:
        """Another one for each place."""
        mark = nonce(*place)
        asked = f"{mark}: {' '.join(words(random.Random(mark), USUAL.num_words(self.num_tokens, nonces=1)))}"
        if self.embeds:
            return [asked]
        if self.prefix is None:
            return asked
        before = f"{mark}: " if self.knows_prefix == "new" else ""
        if self.prefix.text:
            return f"{before}{self.prefix.text} {asked}"
        return _conversation(self.prefix, before, asked)


def _conversation(prefix: Prefix, before: str, asked: str) -> list[Message]:
    """The prefix's messages and the user's; where its last one is the user's, it goes on."""
    messages = [message.model_dump() for message in prefix.messages]
    messages[0]["content"] = before + messages[0]["content"]
    if messages[-1]["role"] == "user":
        messages[-1]["content"] += f" {asked}"
        return messages
    return [*messages, {"role": "user", "content": asked}]


def first_requests(config: ModelConfig, lengths: Sequence[int]) -> Iterator[FirstRequest]:
    """One of each length; and the shortest after the first prefix of the YAML, known and new."""
    embeds = choose_backend(config) != "llama-text"
    yield from (FirstRequest(length, embeds) for length in lengths)
    prefix = next((prefix for prefix in config.prefixes if prefix.text or prefix.messages), None)
    if prefix and not embeds:
        yield from (FirstRequest(min(lengths), False, prefix, knowledge) for knowledge in get_args(Knowledge))
