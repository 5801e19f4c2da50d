"""Plain English of any length from a seed, and nonces."""

from __future__ import annotations

import hashlib
import random

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


def nonce(*parts: object) -> str:
    """Eight hexadecimal digits that other parts do not give."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:8]


def words(rng: random.Random, num_words: int) -> list[str]:
    found: list[str] = []
    while len(found) < num_words:
        sentence = " ".join(rng.choice(part) for part in (SUBJECTS, VERBS, OBJECTS, TIMES))
        found += f"{sentence.capitalize()}.".split()
    return found[:num_words]


def question(rng: random.Random, number: int) -> list[str]:
    """About the texts above; the number makes each another one."""
    return f"Question {number}: What did {rng.choice(SUBJECTS)} do {rng.choice(TIMES)}, and why?".split()
