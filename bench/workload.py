"""What a stage asks: seeded prompts of a wanted length, of the scenario's kinds.

The text depends on the scenario's seed only, the nonce also on the run: so every target and every run answers the same
questions, and no cache has seen the beginning of one before, unless the stage is about caches.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

from pydantic import Field, ValidationError

from bench.errors import BenchError
from bench.files import read_text
from bench.prompt_spec import Mixed
from bench.scenario import Scenario
from bench.stages import Stage
from bench.strict import Strict
from bench.text import nonce, question, words
from bench.token_fit import USUAL, TokenFit

Message: TypeAlias = dict[str, str]
Prompt: TypeAlias = str | list[str] | list[Message]
"""A user's message or a completion's prompt; texts to embed; a conversation."""

_Place: TypeAlias = tuple[str, int]
"""Of a prompt: its part of the run (a round, a warm-up) and its number there."""
_Make: TypeAlias = Callable[[random.Random, _Place], Prompt]
"""From a source of chance and what makes this prompt another one than all others."""


def messages(prompt: Prompt) -> list[Message]:
    """Of a chat: a text is the user's message, a conversation is there already."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [message for message in prompt if not isinstance(message, str)]


COPY = "Copy the following text word for word and write nothing else:"


@dataclass(frozen=True)
class PromptSource:
    """Of one run. `run` is its id."""

    scenario: Scenario
    run: str

    def prompts(self, stage: Stage, *, part: str, count: int, fit: TokenFit = USUAL) -> list[Prompt]:
        """`count` prompts of `stage.prompts.isl` tokens. `part` (a round, a warm-up) tells their nonces apart. Raises
        BenchError for a file of prompts that cannot be read."""
        rng = random.Random(f"{self.scenario.workload.sampling.seed}/{stage.name}/{part}")
        make = self._makers()[stage.prompts.kind](stage, fit)
        return [make(rng, (part, index)) for index in range(count)]

    def _makers(self) -> dict[str, Callable[[Stage, TokenFit], _Make]]:
        return {
            "unique": self._embeddings if self.scenario.workload.api == "embeddings" else self._unique,
            "shared-document": self._shared_document,
            "quote": self._quote,
            "file": self._conversations,
        }

    def _unique(self, stage: Stage, fit: TokenFit) -> _Make:
        num_words = fit.num_words(stage.prompts.isl, nonces=1)
        return lambda rng, place: f"{nonce(self.run, stage.name, *place)}: {' '.join(words(rng, num_words))}"

    def _embeddings(self, stage: Stage, fit: TokenFit) -> _Make:
        asked, batch = stage.prompts, range(stage.prompts.batch)

        def text(rng: random.Random, place: tuple[object, ...]) -> str:
            isl = rng.randint(asked.isl, asked.isl_to or asked.isl)
            num_words = fit.num_words(isl, nonces=1)
            return f"{nonce(self.run, stage.name, *place)}: {' '.join(words(rng, num_words))}"

        return lambda rng, place: [text(rng, (*place, number)) for number in batch]

    def _quote(self, stage: Stage, fit: TokenFit) -> _Make:
        num_words = fit.num_words(stage.prompts.isl, nonces=1) - len(COPY.split())
        return lambda rng, place: (
            f"{nonce(self.run, stage.name, *place)}: {COPY}\n\n{' '.join(words(rng, max(1, num_words)))}"
        )

    def _shared_document(self, stage: Stage, fit: TokenFit) -> _Make:
        """The document is the same in every round and at the warm-up, which is what makes it warm. In a mix, what is
        meant cold is unique."""
        rng = random.Random(f"{self.scenario.workload.sampling.seed}/{stage.name}/document")
        asked = len(question(rng, 0))
        text = " ".join(words(rng, max(1, fit.num_words(stage.prompts.isl, nonces=1) - asked)))
        document = f"{nonce(self.run, stage.name, 'document')}: {text}"
        cache, cold = self.scenario.cache_of(stage.prompts), self._unique(stage, fit)

        def make(rng: random.Random, place: _Place) -> Prompt:
            if isinstance(cache, Mixed) and not cache.is_warm(place[1]):
                return cold(rng, place)
            return f"{document}\n\n{' '.join(question(rng, rng.randrange(100_000, 1_000_000)))}"

        return make

    def _conversations(self, stage: Stage, fit: TokenFit) -> _Make:
        """In the file's order, from its start again when there are more requests than lines."""
        assert stage.prompts.file is not None, "checked by the scenario"
        found = cycle(read_conversations(self.scenario.folder / stage.prompts.file))
        if self.scenario.cache_of(stage.prompts) == "warm":
            return lambda rng, place: next(found)
        return lambda rng, place: _marked(next(found), nonce(self.run, stage.name, *place))


class _Message(Strict):
    role: str
    content: str


class _Conversation(Strict):
    messages: tuple[_Message, ...] = Field(min_length=1)


def read_conversations(path: Path) -> list[list[Message]]:
    """One for each line. Raises BenchError naming file and line."""
    lines = read_text(path).splitlines()
    found = [_conversation(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise BenchError(f"{path}: holds no conversation")
    return found


def _conversation(line: str, place: str) -> list[Message]:
    try:
        conversation = _Conversation.model_validate_json(line)
    except ValidationError as error:
        raise BenchError(f'{place}: is not {{"messages": [{{"role": "...", "content": "..."}}]}}') from error
    return [message.model_dump() for message in conversation.messages]


def _marked(conversation: list[Message], mark: str) -> list[Message]:
    first, *rest = conversation
    return [{**first, "content": f"{mark}: {first['content']}"}, *rest]
