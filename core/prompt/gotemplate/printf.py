"""Go's fmt.Sprintf for the values a template has; a verb that does not fit its value is pointed out in the text, as Go
does. Not offered: computed widths (`%*d`), numbered values (`%[1]d`), Go syntax (`%#v`), types (`%T`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.prompt.budget import budget
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.printing import format_float, sprint
from core.prompt.gotemplate.quoting import quote
from core.prompt.gotemplate.values import Int64, Struct, kind, type_name

MAX_WIDTH = 10_000

_VERB = re.compile(r"%(?P<flags>[-+ 0]*)(?P<width>\d+)?(?P<precision>\.\d*)?(?P<verb>.)?", re.DOTALL)
_REFUSED = "*[#T"
_VERBS = {"bool": "vt", "float": "vgGeEfF", "number": "vdboxXcU", "text": "vsqxX"}
_UNKNOWN = {("float", "b"), ("float", "x"), ("float", "X"), ("number", "q"), ("number", "O")}
"""What Go writes and nobody needs in a prompt."""


def sprintf(layout: str, values: Sequence[Any]) -> str:
    return "".join(_pieces(layout, values))


def _pieces(layout: str, values: Sequence[Any]) -> Iterator[str]:
    remaining = iter(values)
    position = 0
    for match in _VERB.finditer(layout):
        yield layout[position : match.start()]
        position = match.end()
        yield _directive(match, remaining)
    yield layout[position:]
    if extra := [_with_type(value) for value in remaining]:
        yield f"%!(EXTRA {', '.join(extra)})"


def _directive(match: re.Match[str], remaining: Iterator[Any]) -> str:
    verb = match["verb"]
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    if verb in _REFUSED:
        raise Mistake(f"printf does not know {match[0]!r}")
    width, precision = match["width"] or "0", match["precision"] or ""
    if len(width) > 5 or len(precision) > 6 or max(int(width), int(precision[1:] or 0)) > MAX_WIDTH:
        raise Mistake(f"printf writes {MAX_WIDTH} characters at most for one value: {match[0]!r}")
    for value in remaining:
        return _Directive(verb, match["flags"], int(width), int(precision[1:] or 0) if precision else None).write(value)
    return f"%!{verb}(MISSING)"


def _with_type(value: Any) -> str:
    return "<nil>" if value is None else f"{_type_name(value)}={sprint(value)}"


def _type_name(value: Any) -> str:
    """Go's, as far as it is short."""
    return {bool: "bool", float: "float64", int: "int", Int64: "int64", str: "string"}.get(type(value), "value")


class _Directive:
    def __init__(self, verb: str, flags: str, width: int, precision: int | None) -> None:
        self._verb = verb
        self._flags = flags
        self._width = width
        self._precision = precision

    def write(self, value: Any) -> str:
        """A list, map or struct is written item by item."""
        if isinstance(value, list):
            return f"[{' '.join(map(self._item, value))}]"
        if isinstance(value, dict):
            return f"map[{' '.join(f'{self._item(key)}:{self._item(value[key])}' for key in sorted(value))}]"
        if isinstance(value, Struct):
            return "{" + " ".join(self._fields(value.fields)) + "}"
        if (kind(value), self._verb) in _UNKNOWN:
            raise Mistake(f"printf does not know %{self._verb} for {type_name(value)}")
        return self._padded(self._scalar(value)) if self._fits(value) else self._misfit(value)

    def _item(self, value: Any) -> str:
        budget().spend_step()
        return "<nil>" if value is None else self.write(value)

    def _fields(self, fields: Mapping[str, Any]) -> Iterator[str]:
        names = self._verb == "v" and "+" in self._flags
        for name, value in fields.items():
            yield f"{name}:{self._item(value)}" if names else self._item(value)

    def _fits(self, value: Any) -> bool:
        if value is None:
            return self._verb == "v"
        return self._verb in _VERBS.get(kind(value) or "", "vs")

    def _misfit(self, value: Any) -> str:
        if value is None:
            return f"%!{self._verb}(<nil>)"
        written = _Directive("v", self._flags, self._width, self._precision).write(value)
        return f"%!{self._verb}({_type_name(value)}={written})"

    def _scalar(self, value: Any) -> str:
        """Without its padding."""
        match kind(value):
            case "text":
                return self._text(value)
            case "number":
                return self._integer(value)
            case "float":
                return self._float(value)
        return sprint(value)

    def _text(self, value: str) -> str:
        cut = value[: self._precision] if self._precision is not None else value
        if self._verb == "q":
            return quote(cut)
        if self._verb in "xX":
            return cut.encode().hex() if self._verb == "x" else cut.encode().hex().upper()
        return cut

    def _integer(self, value: int) -> str:
        if self._verb == "c":
            return chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"
        if self._verb == "U":
            return f"U+{value:04X}"
        return self._signed(format(value, "d" if self._verb == "v" else self._verb))

    def _float(self, value: float) -> str:
        if self._verb == "v" or (self._verb == "g" and self._precision is None):
            return self._signed(format_float(value, lowest=-4, highest=5))
        return self._signed(format(value, f".{6 if self._precision is None else self._precision}{self._verb}"))

    def _signed(self, number: str) -> str:
        """`%+v` names fields and leaves numbers alone."""
        plus = "+" in self._flags and self._verb != "v"
        sign = "" if number[0] in "+-" else "+" if plus else " " if " " in self._flags else ""
        return sign + number

    def _padded(self, text: str) -> str:
        budget().spend_text(max(self._width, len(text)))
        if "-" in self._flags:
            return text.ljust(self._width)
        if "0" not in self._flags:
            return text.rjust(self._width)
        sign = text[:1] if text[:1] in ("+", "-", " ") and self._verb not in "sq" else ""
        return sign + text[len(sign) :].rjust(self._width - len(sign), "0")
