"""Which lengths are tried, and how much text makes one."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import BenchError

BASE_LENGTH = 1024
"""Tokens of the short text that longer ones are compared with (NoLiMa's is at most 1K)."""
MIN_LENGTH = 1536
"""Half of it still holds every fact."""
FRACTIONS = (0.25, 0.5, 0.75, 0.9, 1.0)
QUICK_FRACTIONS = (0.5, 1.0)


def choose_lengths(top: int, *, quick: bool) -> list[int]:
    """From the short text to `top`: fractions of it, and below them each half of the next. Raises BenchError where
    `top` is too short to compare anything."""
    if top < MIN_LENGTH:
        raise BenchError(f"prompts of at most {top} tokens cannot be compared by length: it takes {MIN_LENGTH}")
    base = min(BASE_LENGTH, top // 2)
    found = [round(top * fraction) for fraction in (QUICK_FRACTIONS if quick else FRACTIONS)]
    while not quick and found[0] // 2 > base:
        found.insert(0, found[0] // 2)
    return [base, *(length for length in found if length > 1.25 * base)]


@dataclass
class Ruler:
    """Text is measured in sentences, prompts in the server's tokens: `fixed` for what surrounds the text, `facts` for
    what is hidden in it, `per_sentence` for the rest."""

    fixed: float
    facts: float
    per_sentence: float
    _sentences: int = 0
    _tokens: float = 0.0

    @classmethod
    def from_counts(cls, short: tuple[int, int], long: tuple[int, int], with_facts: tuple[int, int]) -> Ruler:
        """Three times (sentences, tokens that the server counted), of two plain texts and one with facts."""
        per_sentence = (long[1] - short[1]) / (long[0] - short[0])
        if per_sentence <= 0:
            raise BenchError(f"the server counts {short[1]} and {long[1]} tokens for a short and a long text")
        fixed = short[1] - per_sentence * short[0]
        return cls(fixed, with_facts[1] - fixed - per_sentence * with_facts[0], per_sentence)

    def sentences(self, tokens: int, *, facts: bool) -> int:
        return max(0, round((tokens - self.fixed - (self.facts if facts else 0)) / self.per_sentence))

    def refine(self, sentences: int, tokens: int, *, facts: bool) -> None:
        """Every text tells the length of a sentence better, the longer the more."""
        self._sentences += sentences
        self._tokens += tokens - self.fixed - (self.facts if facts else 0)
        if self._sentences:
            self.per_sentence = self._tokens / self._sentences
