"""sprig's functions on lists, maps, numbers, JSON and dates, and its ways to choose between values."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from core.prompt.gotemplate.calls import table
from core.prompt.gotemplate.dates import format_time, now
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.gojson import to_json
from core.prompt.gotemplate.literals import integer
from core.prompt.gotemplate.printing import sprint
from core.prompt.gotemplate.values import Int64, is_true, type_name

_ZERO_DECIMALS = re.compile(r"\.0+$")


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and is_true(given[0]) else fallback


def _empty(value: Any) -> bool:
    return not is_true(value)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if is_true(value)), None)


def _ternary(yes: Any, no: Any, condition: bool) -> Any:
    return yes if condition else no


def _list(*items: Any) -> list[Any]:
    return list(items)


def _first(items: Any) -> Any:
    return _checked(items)[0] if _checked(items) else None


def _last(items: Any) -> Any:
    return _checked(items)[-1] if _checked(items) else None


def _checked(items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise Mistake(f"a list is needed here, and this is {type_name(items)}")
    return items


def _dict(*keys_and_values: Any) -> dict[str, Any]:
    """A key without its value gets an empty text."""
    keys = (key if isinstance(key, str) else sprint(key) for key in keys_and_values[::2])
    values = [*keys_and_values[1::2], ""]
    return dict(zip(keys, values, strict=False))


def _get(mapping: dict[str, Any], key: str) -> Any:
    return mapping.get(key, "")


def _has_key(mapping: dict[str, Any], key: str) -> bool:
    return key in mapping


def _integer(value: Any) -> int:
    """sprig's toInt64: what is no number counts as 0."""
    if isinstance(value, str):
        return integer(_ZERO_DECIMALS.sub("", value)) or 0
    if isinstance(value, float):
        return _wrapped(int(value)) if math.isfinite(value) else -(1 << 63)
    return int(value) if isinstance(value, int) else 0


def _wrapped(value: int) -> Int64:
    """In 64 bits."""
    return Int64((value + (1 << 63)) % (1 << 64) - (1 << 63))


def _add(*values: Any) -> Int64:
    return _wrapped(sum(map(_integer, values)))


def _add1(value: Any) -> Int64:
    return _wrapped(_integer(value) + 1)


def _sub(left: Any, right: Any) -> Int64:
    return _wrapped(_integer(left) - _integer(right))


def _mul(first: Any, *others: Any) -> Int64:
    product = _wrapped(_integer(first))
    for other in others:
        product = _wrapped(product * _integer(other))
    return product


def _to_json(value: Any) -> str:
    return _json_or_nothing(value, "")


def _to_pretty_json(value: Any) -> str:
    return _json_or_nothing(value, "  ")


def _json_or_nothing(value: Any, indent: str) -> str:
    try:
        return to_json(value, indent=indent)
    except Mistake:
        return ""


def _to_raw_json(value: Any) -> str:
    return to_json(value, escape_html=False)


def _now() -> datetime:
    return now()


def _date(layout: str, time: Any) -> str:
    """`time` may be in seconds since 1970; the present stands in for what is no time."""
    if isinstance(time, int) and not isinstance(time, bool):
        try:
            time = datetime.fromtimestamp(time).astimezone()
        except (OverflowError, OSError, ValueError):
            raise Mistake(f"the second {time} is in no year from 1 to 9999") from None
    return format_time(time if isinstance(time, datetime) else now(), layout)


DATA_FUNCTIONS = table(
    {
        "add": _add,
        "add1": _add1,
        "coalesce": _coalesce,
        "date": _date,
        "default": _default,
        "dict": _dict,
        "empty": _empty,
        "first": _first,
        "get": _get,
        "hasKey": _has_key,
        "last": _last,
        "list": _list,
        "mul": _mul,
        "now": _now,
        "sub": _sub,
        "ternary": _ternary,
        "toJson": _to_json,
        "toPrettyJson": _to_pretty_json,
        "toRawJson": _to_raw_json,
    }
)
