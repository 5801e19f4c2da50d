"""Go's literals: quoted texts, characters and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

from core.prompt.gotemplate.errors import Mistake

_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\'"])|(?P<octal>[0-3][0-7]{2})|x(?P<hex>[0-9a-fA-F]{2})
    |u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.?))""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[bB](?P<bin>_?[01]+(?:_[01]+)*)"
    r"|0[oO]?(?P<oct>_?[0-7]+(?:_[0-7]+)*)|(?P<dec>0|[1-9][0-9]*(?:_[0-9]+)*))"
)
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}


def unquote(literal: str) -> str:
    """The text of a literal in double quotes or back quotes."""
    if literal[0] == "`":
        return literal[1:-1].replace("\r", "")
    if "\\" not in literal:
        return literal[1:-1]
    return _ESCAPE.sub(_escaped_in('"'), literal[1:-1]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def character(literal: str) -> int:
    """The code of the character in single quotes."""
    text = _ESCAPE.sub(_escaped_in("'"), literal[1:-1])
    if len(text) != 1:
        raise Mistake(f"{literal} is not one character")
    return ord(text) - 0xDC00 if "\udc80" <= text <= "\udcff" else ord(text)


def _escaped_in(quote: str) -> Callable[[re.Match[str]], str]:
    def replace(escape: re.Match[str]) -> str:
        if simple := escape["simple"]:
            if simple not in "'\"" or simple == quote:
                return _SIMPLE.get(simple, simple)
        elif escape["octal"] or escape["hex"]:
            return _byte(int(escape["octal"], 8) if escape["octal"] else int(escape["hex"], 16))
        elif (code := escape["short"] or escape["long"]) and _is_character(int(code, 16)):
            return chr(int(code, 16))
        raise Mistake(f"{escape[0]} is no escape of a Go text")

    return replace


def _is_character(code: int) -> bool:
    return code < 0xD800 or 0xDFFF < code <= 0x10FFFF


def _byte(value: int) -> str:
    """A byte that may be part of a character: `unquote` joins them."""
    return chr(value) if value < 0x80 else chr(0xDC00 + value)


def integer(text: str) -> int | None:
    """What Go's strconv.ParseInt(text, 0, 64) reads: None for no integer and for one that needs more than 64 bits."""
    match = _INTEGER.fullmatch(text)
    if match is None or len(text) > 100:
        return None
    group = match.lastgroup or ""
    value = int(match[group].lstrip("_"), _BASES[group]) * (-1 if match["sign"] == "-" else 1)
    return value if -(1 << 63) <= value < 1 << 63 else None


def number(text: str) -> tuple[int | float, int | None]:
    """The value of a number, and the integer it is where one is asked for."""
    if (whole := integer(text)) is not None:
        return whole, whole
    try:
        value = float.fromhex(text) if "x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise Mistake(f"{text!r} is no number") from None
    if "_" in text or not any(mark in text for mark in ".eEpP") or value in (float("inf"), float("-inf")):
        raise Mistake(f"{text!r} is no number, or one of more than 64 bits")
    return value, int(value) if value.is_integer() and abs(value) < 1 << 63 else None
