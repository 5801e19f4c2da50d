"""What a template computes with: Go's values as far as a prompt meets them, and when they count as true, nil or equal.

str, bool, int, float, list, dict and datetime stand for themselves; the types here say what Python's cannot. A value is
never anything else, so nothing of Python can be reached from a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from core.prompt.gotemplate.errors import Mistake


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""No value at all, such as a key that a map lacks; None is a nil that is there. Only field access tells them apart."""


class Int64(int):
    """What sprig's arithmetic returns; a Go function that takes an `int` refuses it."""


class NilList(list[Any]):
    """Empty, and `null` in JSON."""


class NilMap(dict[str, Any]):
    """Empty, and `null` in JSON."""


class StringMap(dict[str, str]):
    """A Go map[string]string; a function that takes a map[string]any refuses it."""


class NilStringMap(NilMap, StringMap):
    """A nil map[string]string."""


@dataclass(frozen=True, slots=True)
class Struct:
    """Fields in order, by Go's names; reading any other is an error."""

    fields: Mapping[str, Any]
    json_names: Mapping[str, str]


_KINDS = {bool: "bool", int: "number", Int64: "number", float: "float", str: "text"}
_NAMES = {bool: "a bool", str: "a text", float: "a float", datetime: "a time", Struct: "a struct"}


def kind(value: Any) -> str | None:
    """What values must have in common to be compared; None for a value without order."""
    return _KINDS.get(type(value))


def type_name(value: Any) -> str:
    """For messages."""
    if is_nil(value):
        return "nil"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a map"
    return _NAMES.get(type(value), "an integer")


def is_nil(value: Any) -> bool:
    return value is None or value is MISSING or isinstance(value, NilList | NilMap)


def is_true(value: Any) -> bool:
    if isinstance(value, Struct | datetime):
        return True
    return value is not MISSING and bool(value)


def equal(left: Any, right: Any) -> bool:
    """Go's eq: a Mistake for values of different kinds and for lists and maps; nil equals nil only."""
    if kind(left) != kind(right):
        if any(value is None or value is MISSING for value in (left, right)):
            return False
        raise Mistake(f"{type_name(left)} and {type_name(right)} cannot be compared")
    if kind(left) is not None:
        return bool(left == right)
    if is_nil(left) or is_nil(right):
        return is_nil(left) and is_nil(right)
    if type(left) is not type(right):
        raise Mistake(f"{type_name(left)} and {type_name(right)} cannot be compared")
    return _equal_parts(left, right)


def _equal_parts(left: Any, right: Any) -> bool:
    if isinstance(left, datetime):
        return bool(left == right)
    if not isinstance(left, Struct):
        raise Mistake(f"{type_name(left)} cannot be compared")
    return left.fields.keys() == right.fields.keys() and all(
        equal(value, right.fields[name]) for name, value in left.fields.items()
    )


def less(left: Any, right: Any) -> bool:
    """Go's lt: for numbers and texts of one kind."""
    if kind(left) != kind(right) or kind(left) in (None, "bool"):
        raise Mistake(f"{type_name(left)} and {type_name(right)} have no order")
    return bool(left.encode() < right.encode() if isinstance(left, str) else left < right)
