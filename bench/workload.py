"""Seeded English prompts of a wanted length, each opened by a nonce that no prefix cache can know.

The text depends on the scenario's seed only, the nonce also on the run: so every target and every run answers the same
questions, and none of them has seen one before.
"""

from __future__ import annotations

import hashlib
import random

from bench.stages import Stage

SUBJECTS = (
    "the old captain", "a young teacher", "the village doctor", "my sister", "the night train", "a small company",
    "the city council", "an honest farmer", "the new engine", "our neighbour", "the river", "a patient engineer",
)  # fmt: skip
VERBS = (
    "found", "carried", "described", "remembered", "left", "followed", "studied", "brought", "changed", "watched",
)  # fmt: skip
OBJECTS = (
    "a letter from the north", "the last open window", "a map of the island", "the price of bread", "three blue boxes",
    "the history of the bridge", "a quiet road", "the first winter storm", "a garden behind the house",
)  # fmt: skip
TIMES = ("before the rain", "in the morning", "after a long day", "every summer", "without a word", "at the station")

NONCE_TOKENS = 9
"""About what eight hexadecimal digits and a colon cost."""
TOKENS_PER_WORD = 1.09
"""Of such plain sentences, full stops included, in the usual byte-pair vocabularies."""


def prompts(stage: Stage, *, seed: int, run: str, part: str, count: int) -> list[str]:
    """`count` prompts of about `stage.prompts.isl` tokens. `part` (a round, a warm-up) tells their nonces apart."""
    rng = random.Random(f"{seed}/{stage.name}/{part}")
    num_words = max(1, round((stage.prompts.isl - NONCE_TOKENS) / TOKENS_PER_WORD))
    return [f"{_nonce(run, stage.name, part, index)}: {_text(rng, num_words)}" for index in range(count)]


def _nonce(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:8]


def _text(rng: random.Random, num_words: int) -> str:
    words: list[str] = []
    while len(words) < num_words:
        sentence = " ".join(rng.choice(part) for part in (SUBJECTS, VERBS, OBJECTS, TIMES))
        words += f"{sentence.capitalize()}.".split()
    return " ".join(words[:num_words])
