"""The regular expressions of a config, in Go's dialect: one that cannot be compiled is left out, as in LocalAI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.config.document import KeyPath
from core.config.scalars import to_list
from core.prompt.pattern import compile_pattern

KEYS = ("cutstrings", "extract_regex")


def compilable(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[KeyPath, str]]]:
    """`values` without the expressions that are none, and for each of those its path and what is wrong."""
    kept, faults = dict(values), list[tuple[KeyPath, str]]()
    for key in KEYS:
        items = to_list(values.get(key))
        if not isinstance(items, list):
            continue
        found = dict(_faults(items))
        faults += [((key, index), message) for index, message in found.items()]
        kept[key] = [item for index, item in enumerate(items) if index not in found]
    return kept, faults


def _faults(items: list[Any]) -> Iterator[tuple[int, str]]:
    for index, item in enumerate(items):
        try:
            compile_pattern(str(item))
        except ValueError as error:
            yield index, f"{error}: it is left out, correct it"
