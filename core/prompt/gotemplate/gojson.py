"""A value as Go's encoding/json writes it: map keys sorted, struct fields in order under their JSON names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.prompt.budget import budget
from core.prompt.gotemplate.dates import format_time
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.printing import format_float
from core.prompt.gotemplate.values import Struct, is_nil

_LINE_SEPARATORS = re.compile("[\u2028\u2029]")
_HTML = re.compile("[<>&]")


def to_json(value: Any, *, escape_html: bool = True, indent: str = "") -> str:
    """Raises Mistake for a number that JSON cannot write."""
    encoder = _Encoder(escape_html, indent)
    encoder.write(value, "\n")
    return "".join(encoder.parts)


class _Encoder:
    """Every part is paid for before they are joined: a list may hold one value many times over."""

    def __init__(self, escape_html: bool, indent: str) -> None:
        self._escape_html = escape_html
        self._indent = indent
        self.parts: list[str] = []

    def write(self, value: Any, line: str) -> None:
        """`line` is the line break and indentation of the line that the value begins on."""
        if is_nil(value):
            self._append("null")
        elif isinstance(value, list):
            self._write_items("[", [("", item) for item in value], "]", line)
        elif isinstance(value, dict):
            self._write_items("{", [(self._key(key), value[key]) for key in sorted(value)], "}", line)
        elif isinstance(value, Struct):
            named = [(self._key(value.json_names[name]), item) for name, item in value.fields.items()]
            self._write_items("{", named, "}", line)
        else:
            self._append(self._scalar(value))

    def _write_items(self, opening: str, items: Sequence[tuple[str, Any]], closing: str, line: str) -> None:
        """Each item with what stands before it."""
        budget().spend_step()
        self._append(opening)
        inner = line + self._indent if self._indent else ""
        for index, (key, item) in enumerate(items):
            self._append(("," if index else "") + inner + key)
            self.write(item, inner)
        self._append(line + closing if self._indent and items else closing)

    def _append(self, text: str) -> None:
        budget().spend_text(len(text))
        self.parts.append(text)

    def _key(self, name: str) -> str:
        return self._text(name) + (": " if self._indent else ":")

    def _scalar(self, value: Any) -> str:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float):
            return _number(value)
        if isinstance(value, datetime):
            return f'"{format_time(value, "2006-01-02T15:04:05.999999999Z07:00")}"'
        return json.dumps(value)

    def _text(self, value: str) -> str:
        text = _LINE_SEPARATORS.sub(_escape, json.dumps(value, ensure_ascii=False))
        return _HTML.sub(_escape, text) if self._escape_html else text


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise Mistake("JSON has no infinite numbers")
    return re.sub(r"e-0(\d)$", r"e-\1", format_float(value, lowest=-6, highest=20))
