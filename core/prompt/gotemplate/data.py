"""The template's data -> values: which fields of LocalAI's data are structs in Go, and how JSON arrives there.

Invariant: what comes out holds valid Unicode and only the types of `values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from core.prompt.gotemplate.values import NilList, NilMap, NilStringMap, StringMap, Struct

_FUNCTION = {"Name": "name", "Description": "description", "Strict": "strict", "Parameters": "parameters"}
_TOOL_CALL = {"Index": "index", "ID": "id", "Type": "type", "FunctionCall": "function"}
_CALLED = {"Name": "name", "Arguments": "arguments"}
_MEDIA = {"ID": "ID"}

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def root(data: Mapping[str, Any]) -> Struct:
    """The dot that a template begins with."""
    fields = {name: _FIELDS.get(name, _plain)(value) for name, value in data.items()}
    return Struct(fields, {name: name for name in fields})


def _plain(value: Any) -> Any:
    """An int stays an int; `_json` reads numbers as Go's JSON decoder does."""
    return value if isinstance(value, int) else _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _float(value)
    if isinstance(value, Mapping):
        return {text(key): _json(item) for key, item in value.items()}
    assert isinstance(value, list | tuple), f"a template's data holds {type(value)}"
    return [_json(item) for item in value]


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def text(value: str) -> str:
    """Halves of a surrogate pair, which JSON can escape and UTF-8 cannot write, become U+FFFD as in Go."""
    return value if value.isascii() else _LONE_SURROGATE.sub("\ufffd", value)


def _structs(read: Callable[[Mapping[str, Any]], Struct]) -> Callable[[Any], Any]:
    return lambda value: NilList() if value is None else [read(item) for item in value]


def _function(value: Mapping[str, Any]) -> Struct:
    """`strict` is there since LocalAI 2.20."""
    parameters = value.get("parameters")
    fields = {
        "Name": text(value.get("name", "")),
        "Description": text(value.get("description") or ""),
        **({"Strict": bool(value["strict"])} if "strict" in value else {}),
        "Parameters": NilMap() if parameters is None else _json(parameters),
    }
    return Struct(fields, _FUNCTION)


def _tool_call(value: Mapping[str, Any]) -> Struct:
    called = value.get("function") or {}
    function = Struct({"Name": text(called.get("name", "")), "Arguments": text(called.get("arguments", ""))}, _CALLED)
    fields = {"Index": value.get("index", 0), "ID": text(value.get("id", "")), "Type": text(value.get("type", ""))}
    return Struct({**fields, "FunctionCall": function}, _TOOL_CALL)


def call(value: Any) -> Any:
    """OpenAI's list of tool calls, or a legacy call, which is a map."""
    return [_tool_call(item) for item in value] if isinstance(value, list | tuple) else _json(value)


def _metadata(value: Mapping[str, str] | None) -> StringMap:
    return NilStringMap() if value is None else StringMap({text(key): text(item) for key, item in value.items()})


_media = _structs(lambda value: Struct({"ID": value["ID"]}, _MEDIA))

_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "Audio": _media,
    "FunctionCall": call,
    "Functions": _structs(_function),
    "Images": _media,
    "Metadata": _metadata,
    "Video": _media,
}
