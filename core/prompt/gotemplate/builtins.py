"""The functions that Go's text/template brings along; `and` and `or`, which skip operands, are the evaluator's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from core.prompt.gotemplate.calls import table
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.printf import sprintf
from core.prompt.gotemplate.printing import shown, sprint
from core.prompt.gotemplate.values import StringMap, equal, is_true, less, type_name

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _and_or(first: Any, *others: Any) -> Any:
    """Says only how many operands there may be."""
    raise NotImplementedError


def _eq(value: Any, *others: Any) -> bool:
    if not others:
        raise Mistake("eq needs something to compare with")
    return any(equal(value, other) for other in others)


def _ne(left: Any, right: Any) -> bool:
    return not equal(left, right)


def _lt(left: Any, right: Any) -> bool:
    return less(left, right)


def _le(left: Any, right: Any) -> bool:
    return less(left, right) or equal(left, right)


def _gt(left: Any, right: Any) -> bool:
    return not _le(left, right)


def _ge(left: Any, right: Any) -> bool:
    return not less(left, right)


def _not(value: Any) -> bool:
    return not is_true(value)


def _len(value: Any) -> int:
    """Of a text in bytes."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    raise Mistake(f"{type_name(value)} has no length")


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise Mistake("nil has no items")
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise Mistake(f"{type_name(key)} is no key of a map; a text is")
        return value.get(key, "" if isinstance(value, StringMap) else None)
    if not isinstance(value, list | str):
        raise Mistake(f"{type_name(value)} has no items")
    items = value.encode() if isinstance(value, str) else value
    if not isinstance(key, int) or isinstance(key, bool):
        raise Mistake(f"{type_name(key)} is no position in {type_name(value)}; an integer is")
    if not 0 <= key < len(items):
        raise Mistake(f"there is no item {key} among {len(items)}")
    return items[key]


def _joined(values: tuple[Any, ...]) -> str:
    """What the escaping functions escape."""
    return shown(values[0]) if len(values) == 1 else sprint(*("<no value>" if v is None else v for v in values))


def _print(*values: Any) -> str:
    return sprint(*values)


def _println(*values: Any) -> str:
    return " ".join(sprint(value) for value in values) + "\n"


def _printf(layout: str, *values: Any) -> str:
    return sprintf(layout, values)


def _html(*values: Any) -> str:
    return _joined(values).translate(_HTML)


def _js(*values: Any) -> str:
    return "".join(map(_js_character, _joined(values)))


def _js_character(character: str) -> str:
    if character in _JS:
        return _JS[character]
    return character if character.isprintable() else f"\\u{ord(character):04X}" if character != "\x7f" else character


def _urlquery(*values: Any) -> str:
    return quote_plus(_joined(values))


BUILTINS = table(
    {
        "and": _and_or,
        "eq": _eq,
        "ge": _ge,
        "gt": _gt,
        "html": _html,
        "index": _index,
        "js": _js,
        "le": _le,
        "len": _len,
        "lt": _lt,
        "ne": _ne,
        "not": _not,
        "or": _and_or,
        "print": _print,
        "printf": _printf,
        "println": _println,
        "urlquery": _urlquery,
    }
)
