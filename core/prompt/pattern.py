"""Go's regular expressions, compiled by RE2, and what they can match, so that a stream holds back no more than it must.

Only plain sequences of characters, classes and repeats are analysed. Groups, alternatives and anchors are not: of such
an expression nothing is claimed, which is always right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_FLAGS = re.compile(r"\(\?[is]+\)")
_ITEM = re.compile(
    r"""(?: (?P<char> [^\\\[\](){}.*+?|^$] | \\[^\w\s] )
             | \. | \\[dDsSwWaftnrv] | \[ (?!\^?\]) \^? (?: \\. | [^\\\[\]] )+ \] )
        (?: (?P<repeat> [*+?] | \{ (?P<least>\d+) (?P<comma>,)? (?P<most>\d+)? \} ) (?P<lazy>\?)? )?
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)


@dataclass(frozen=True)
class Shape:
    """What is certain of every match.

    It begins with `literal` and has at most `width` characters (None: any number). Where `is_final` is true, the
    matches found in a text are found again in every continuation of it.
    """

    literal: str = ""
    width: int | None = None
    is_final: bool = False


@dataclass(frozen=True)
class _Item:
    """One character or class, repeated `least` to `most` times."""

    char: str | None
    least: int
    most: int | None
    is_lazy: bool


def compile_pattern(expression: str) -> Any:
    """An object with the methods of `re.Pattern`. Raises ValueError."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        reason = error.args[0].decode()
        raise ValueError(f"{expression!r} is not a regular expression as Go has them: {reason}") from None


def shape_of(expression: str) -> Shape:
    """`expression` is one that RE2 accepts."""
    flags = _FLAGS.match(expression)
    items = _items(expression[flags.end() if flags else 0 :])
    if items is None:
        return Shape()
    ignores_case = flags is not None and "i" in flags[0]
    widths = [item.most for item in items if item.most is not None]
    return Shape(
        literal="" if ignores_case else _literal(items),
        width=sum(widths) if len(widths) == len(items) else None,
        is_final=_is_final(items),
    )


def _items(expression: str) -> list[_Item] | None:
    items, position = [], 0
    while position < len(expression):
        match = _ITEM.match(expression, position)
        if match is None:
            return None
        items.append(_item(match))
        position = match.end()
    return items


def _item(match: re.Match[str]) -> _Item:
    char = match["char"] and match["char"][-1]
    if match["least"]:
        least = int(match["least"])
        most = int(match["most"]) if match["most"] else None if match["comma"] else least
    else:
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1), None: (1, 1)}[match["repeat"]]
    return _Item(char, least, most, bool(match["lazy"]))


def _literal(items: list[_Item]) -> str:
    chars = []
    for item in items:
        if item.char is None or (item.least, item.most) != (1, 1):
            break
        chars.append(item.char)
    return "".join(chars)


def _is_final(items: list[_Item]) -> bool:
    """Whether the only choice is the length of one lazy, unbounded repeat.

    Matches that begin at one place then differ in length only and shorter ones are preferred: whether they match is
    decided by the text before the end of the one that was found. A place before it at which none matched has failed
    for good too: had its repeat run into the end of the text, it could have ended where the found match ends.
    """
    choices = [item for item in items if item.least != item.most]
    return len(choices) == 1 and choices[0].most is None and choices[0].is_lazy
