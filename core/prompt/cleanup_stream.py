"""Clean-up rules on a text that comes in pieces: each gives what it cannot take away any more, and holds the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from core.prompt.pattern import Shape

GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Go's TrimSpace takes away: Unicode's White_Space. Python's `strip` would take U+001C to U+001F too."""


class CleanupStream:
    """Feed it a text piece by piece; it returns what no rule can take away any more. `flush` returns the rest."""

    def __init__(self, stages: list[Stage], opening: str) -> None:
        self._stages = stages
        self._opening = opening

    def feed(self, text: str) -> str:
        text, self._opening = self._opening + text, ""
        for stage in self._stages:
            text = stage.feed(text)
        return text

    def flush(self) -> str:
        text = self._opening
        for stage in self._stages:
            text = stage.feed(text) + stage.flush()
        return text


class Stage(Protocol):
    """One rule on a text that comes in pieces."""

    def feed(self, text: str) -> str: ...
    def flush(self) -> str: ...


class HeldStage:
    """A rule that can say nothing before it has seen everything."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self._rule = rule
        self._pieces: list[str] = []

    def feed(self, text: str) -> str:
        self._pieces.append(text)
        return ""

    def flush(self) -> str:
        return self._rule("".join(self._pieces))


class CutStage:
    """Removes matches of an expression of which the shape says how far a text is decided."""

    def __init__(self, expression: Any, shape: Shape) -> None:
        self._expression = expression
        self._shape = shape
        self._held = ""

    def feed(self, text: str) -> str:
        self._held += text
        kept, end = [], 0
        if self._shape.is_final or self._shape.width is not None:
            for match in self._expression.finditer(self._held):
                if not self._is_decided(match.start()):
                    break
                kept.append(self._held[end : match.start()])
                end = match.end()
        self._held = self._held[end:]
        safe = self._num_safe()
        kept.append(self._held[:safe])
        self._held = self._held[safe:]
        return "".join(kept)

    def flush(self) -> str:
        return str(self._expression.sub("", self._held))

    def _is_decided(self, start: int) -> bool:
        """Whether more text could change what matches at `start`; expressions with anchors, which see further than
        their match, have no width."""
        return self._shape.is_final or start + (self._shape.width or 0) <= len(self._held)

    def _num_safe(self) -> int:
        """Characters of the held text at which no match begins, whatever comes."""
        size, shape = len(self._held), self._shape
        start = self._held.find(shape.literal)
        before_literal = start if start >= 0 else size - _num_begun(self._held, shape.literal)
        out_of_reach = 0 if shape.width is None else size - shape.width + 1
        return min(max(before_literal, out_of_reach), size)


class TrimStage:
    """Removes a prefix, a suffix, then space at both ends. Holds the beginning until it is known to be neither prefix
    nor space, and an end that might be the suffix or space before it."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._prefix = prefix
        self._suffix = suffix
        self._held = ""
        self._begun = False

    def feed(self, text: str) -> str:
        self._held += text
        if self._prefix:
            if len(self._held) < len(self._prefix) and self._prefix.startswith(self._held):
                return ""
            self._held = self._held.removeprefix(self._prefix)
            self._prefix = ""
        decided = self._held[: len(self._held) - _num_begun(self._held, self._suffix, whole=True)]
        safe = len(decided.rstrip(GO_SPACE))
        text, self._held = self._held[:safe], self._held[safe:]
        return self._begin(text)

    def flush(self) -> str:
        return self._begin(self._held.removesuffix(self._suffix).rstrip(GO_SPACE))

    def _begin(self, text: str) -> str:
        text = text if self._begun else text.lstrip(GO_SPACE)
        self._begun = self._begun or bool(text)
        return text


def _num_begun(text: str, word: str, *, whole: bool = False) -> int:
    """Length of the longest end of `text` with which `word` begins, `word` itself counted only if `whole`."""
    longest = min(len(text), len(word) if whole else len(word) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(word[:size])), 0)
