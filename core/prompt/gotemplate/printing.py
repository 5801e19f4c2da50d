"""How Go writes a value: fmt's `%v`, which is what `{{.X}}` and `print` do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.prompt.budget import budget
from core.prompt.gotemplate.dates import format_time
from core.prompt.gotemplate.values import MISSING, Struct

NO_VALUE = "<no value>"


def shown(value: Any) -> str:
    """A value as an action prints it."""
    if isinstance(value, str):
        return value
    return NO_VALUE if value is None or value is MISSING else sprint(value)


def sprint(*values: Any) -> str:
    """Go's fmt.Sprint: a space between two operands of which neither is a text."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        _write(value, parts)
    return "".join(parts)


def _write(value: Any, parts: list[str]) -> None:
    """Every part is paid for before they are joined: a list may hold one value many times over."""
    if isinstance(value, list):
        _write_items("[", [("", item) for item in value], "]", parts)
    elif isinstance(value, Struct):
        _write_items("{", [("", item) for item in value.fields.values()], "}", parts)
    elif isinstance(value, dict):
        _write_items("map[", [(f"{key}:", value[key]) for key in sorted(value)], "]", parts)
    else:
        _append(_scalar(value), parts)


def _write_items(opening: str, items: Iterable[tuple[str, Any]], closing: str, parts: list[str]) -> None:
    """Each item with what stands before it."""
    budget().spend_step()
    parts.append(opening)
    for index, (key, item) in enumerate(items):
        _append(" " + key if index else key, parts)
        _write(item, parts)
    parts.append(closing)


def _append(text: str, parts: list[str]) -> None:
    budget().spend_text(len(text))
    parts.append(text)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_float(value, lowest=-4, highest=5)
    if isinstance(value, datetime):
        return format_time(value, "2006-01-02 15:04:05.999999999 -0700 MST")
    return str(value)


def format_float(value: float, *, lowest: int, highest: int) -> str:
    """The shortest digits that mean `value`; with an exponent where it is not from `lowest` to `highest`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits))
    power = len(written) - 1 + exponent
    if value == 0 or lowest <= power <= highest:
        text = format(abs(Decimal(repr(value)).normalize()), "f")
    else:
        text = written[0] + ("." + written[1:] if written[1:] else "") + f"e{power:+03d}"
    return ("-" if sign else "") + text
