"""Prompt lookup: a text that repeats itself foretells its next tokens.

Answers quote what they were asked about, code is written again with a change, lists go on as they began. What followed
the newest earlier place with the same few tokens is then what follows now (Saxena 2023, "Prompt Lookup Decoding").
"""

from __future__ import annotations

NGRAM = 3
"""Tokens that must agree. With 2 every common phrase is a match, with 4 short quotes begin too late."""

MEMORY = 0.9
"""What a token leaves of the weight of those before it in `acceptance`."""

UNKNOWN = 0.4
"""`acceptance` before anything was foretold."""


class PromptLookup:
    """Foretells how `tokens` go on; its owner appends to them and calls `observe` after each one.

    A match that proves right is followed, without another look, until it is wrong. `acceptance` is the share of
    foretold tokens that came true, new ones counting more. It is kept up whether or not anybody asks for drafts, so
    giving them up costs nothing and neither does finding out that they would pay again.
    """

    def __init__(self, tokens: list[int]) -> None:
        self._tokens = tokens
        self._next: int | None = None
        """The place of the token that should come next."""
        grams = zip(*(tokens[start:] for start in range(NGRAM)), strict=False)
        self._after = dict(zip(grams, range(NGRAM, len(tokens)), strict=False))
        """n-gram -> what is behind its newest place; not the last n-gram, behind which there is nothing yet."""
        self.acceptance = UNKNOWN

    @property
    def has_match(self) -> bool:
        return self._next is not None

    def observe(self) -> None:
        """Take in the token that was just appended. Constant time."""
        tokens = self._tokens
        last = len(tokens) - 1
        if self._next is not None:
            came_true = tokens[self._next] == tokens[last]
            self.acceptance += (1 - MEMORY) * (came_true - self.acceptance)
            self._next = self._next + 1 if came_true else None
        if last >= NGRAM:
            self._after[tuple(tokens[last - NGRAM : last])] = last
        if self._next is None:
            self._next = self._after.get(tuple(tokens[-NGRAM:]))

    def draft(self, count: int) -> list[int]:
        """The next `count` tokens as foretold, none without a match. Where the match reaches the end of the text it
        goes on with itself, as a text does that runs in circles."""
        if self._next is None:
            return []
        period = len(self._tokens) - self._next
        return [self._tokens[self._next + i % period] for i in range(count)]
