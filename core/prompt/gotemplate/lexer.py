"""Template source -> tokens, cut as Go's text/template/parse/lex.go does.

Trim markers are carried out here: the text beside `{{-` or `-}}` arrives already stripped. A mistake becomes an ERROR
token, the last one, so that the parser reports whichever mistake comes first in the source.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from enum import Enum, auto
from typing import NamedTuple

_SPACES = " \t\r\n"
"""All that a trim marker removes and all that separates words; other white space is text."""


class Kind(Enum):
    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    DECLARE = auto()
    ASSIGN = auto()
    PIPE = auto()
    OPEN = auto()
    CLOSE = auto()
    STRING = auto()
    CHARACTER = auto()
    NUMBER = auto()
    BOOL = auto()
    DOT = auto()
    FIELD = auto()
    VARIABLE = auto()
    KEYWORD = auto()
    WORD = auto()
    OTHER = auto()
    ERROR = auto()
    END = auto()


class Token(NamedTuple):
    kind: Kind
    value: str
    position: int


_KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"})
_WORDS = {Kind.DOT, Kind.FIELD, Kind.VARIABLE, Kind.WORD}

_LEFT = re.compile(r"\{\{(?P<trim>-(?=[ \t\r\n]))?(?P<comment>[ \t\r\n]?/\*)?")
_RIGHT = re.compile(r"(?P<trim>[ \t\r\n]-)?\}\}")
_SPACE_RUN = re.compile(r"[ \t\r\n]*")
_ENDS_WORD = re.compile(r"[ \t\r\n.,|:)(]|\}\}|\Z")
_SPOILS_NUMBER = re.compile(r"[\w+-]+")
_TOKEN = re.compile(
    r"""
      (?P<SPACE>[ \t\r\n]+?(?=[ \t\r\n]-\}\})|[ \t\r\n]+)
    | (?P<DECLARE>:=)
    | (?P<ASSIGN>=)
    | (?P<PIPE>\|)
    | (?P<OPEN>\()
    | (?P<CLOSE>\))
    | (?P<STRING>"(?:\\[^\n]|[^"\\\n])*"|`[^`]*`)
    | (?P<CHARACTER>'(?:\\[^\n]|[^'\\\n])*')
    | (?P<VARIABLE>\$\w*)
    | (?P<NUMBER>[+-]?(?:
          0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
        | 0[oObB][0-9_]*(?:\.[0-9_]*)?
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?
        )|[+-]\.?)
    | (?P<FIELD>\.\w+)
    | (?P<DOT>\.)
    | (?P<WORD>\w+)
    | (?P<OTHER>[!-~])
    """,
    re.VERBOSE,
)
_UNFINISHED = {
    '"': "a text in double quotes is not closed on its line",
    "`": "a text in back quotes is not closed",
    "'": "a character in single quotes is not closed on its line",
    ":": "':' alone means nothing here (':=' declares a variable)",
}


class _LexError(Exception):
    """Its arguments are the message and the position."""


def tokens(source: str) -> Iterator[Token]:
    """SPACE within actions included; the last token is END or ERROR."""
    try:
        yield from _tokens(source)
    except _LexError as error:
        message, position = error.args
        yield Token(Kind.ERROR, message, position)


def _tokens(source: str) -> Iterator[Token]:
    position = 0
    while left := _LEFT.search(source, position):
        text = source[position : left.start()]
        if text := text.rstrip(_SPACES) if left["trim"] else text:
            yield Token(Kind.TEXT, text, position)
        if left["comment"] and (left["trim"] or left["comment"] == "/*"):
            position = _after_comment(source, left.end())
        else:
            yield Token(Kind.LEFT, "{{", left.start())
            position = yield from _action(source, left.start() + (3 if left["trim"] else 2))
    if position < len(source):
        yield Token(Kind.TEXT, source[position:], position)
    yield Token(Kind.END, "", len(source))


def _after_comment(source: str, position: int) -> int:
    end = source.find("*/", position)
    if end < 0:
        raise _LexError("a comment is not closed", position)
    right = _RIGHT.match(source, end + 2)
    if right is None:
        raise _LexError("a comment must fill its '{{' and '}}' alone", position)
    return _after(source, right)


def _after(source: str, right: re.Match[str]) -> int:
    """Where the text behind a closing delimiter begins."""
    space = _SPACE_RUN.match(source, right.end())
    return space.end() if space and right["trim"] else right.end()


def _action(source: str, position: int) -> Generator[Token, None, int]:
    """The tokens of one action, from behind its opening delimiter; returns where the text behind it begins."""
    depth = 0
    while not (right := _RIGHT.match(source, position)):
        token = _token(source, position)
        depth += (token.kind is Kind.OPEN) - (token.kind is Kind.CLOSE)
        if depth < 0:
            raise _LexError("')' closes nothing", position)
        yield token
        position += len(token.value)
    if depth:
        raise _LexError("'(' is not closed", position)
    yield Token(Kind.RIGHT, "}}", right.end() - 2)
    return _after(source, right)


def _token(source: str, position: int) -> Token:
    if position == len(source):
        raise _LexError("'{{' is not closed", position)
    match = _TOKEN.match(source, position)
    if match is None:
        raise _LexError(f"the character {source[position]!a} means nothing here", position)
    value, kind = match[0], Kind[match.lastgroup or ""]
    if kind is Kind.OTHER and value in _UNFINISHED:
        raise _LexError(_UNFINISHED[value], position)
    if kind is Kind.NUMBER and (spoiler := _SPOILS_NUMBER.match(source, match.end())):
        raise _LexError(f"{value + spoiler[0]!r} is no number", position)
    if kind in _WORDS and not _ENDS_WORD.match(source, match.end()):
        raise _LexError(f"the character {source[match.end()]!a} cannot follow {value!r}", position)
    return Token(_word_kind(value) if kind is Kind.WORD else kind, value, position)


def _word_kind(word: str) -> Kind:
    if word in ("true", "false"):
        return Kind.BOOL
    return Kind.KEYWORD if word in _KEYWORDS else Kind.WORD
