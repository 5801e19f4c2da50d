"""YAML text as maps, lists and raw scalar text, with the line of every key.

Scalars stay text because their type depends on the field they end in (`core.config.scalars`); a null means that its key
is absent. Nothing is ever constructed from a tag, and aliases cannot multiply a small file into a large value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from core.config.scalars import is_unicode

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the top of a document down to a value."""

MAX_VALUES = 20_000
"""Values in one file once its aliases are expanded; the largest real folders' files have some hundred."""

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"


class DocumentError(Exception):
    """The text is no YAML that we read."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass
class Document:
    """`value` is a dict, list, str or None; the others name keys by their path from the top.

    `text_lines` is where the text of a `|` block begins, so that a line within the text is a line of the file.
    """

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    text_lines: dict[KeyPath, int] = field(default_factory=dict)
    repeated: list[KeyPath] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    # Go accepts \' in double quotes, and files in circulation have it; the C loader cannot be taught that.
    ESCAPE_REPLACEMENTS = yaml.SafeLoader.ESCAPE_REPLACEMENTS | {"'": "'"}  # type: ignore[misc]


def parse_document(text: str) -> Document:
    """The first document of `text`; raises DocumentError."""
    document = Document()
    try:
        loader = _Loader(text)
        if loader.check_node() and (node := loader.get_node()) is not None:
            document.value = _Builder(document).build(node, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise DocumentError(f"not valid YAML: {error.problem or error.context}: correct this line", line) from error
    except yaml.YAMLError as error:
        raise DocumentError(f"not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise DocumentError("not valid YAML: nested too deeply, or an alias that contains itself") from error
    return document


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._num_values = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._num_values += 1
        if self._num_values > MAX_VALUES:
            raise DocumentError(f"more than {MAX_VALUES} values once aliases are expanded: shorten it", _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            self._document.text_lines[path] = _line(node) + 1
        return None if node.tag == _NULL else _text(node)

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        for child in node.value:
            place = (*path, len(items))
            self._document.lines[place] = _line(child)
            item = self.build(child, place)
            if item is not None:
                items.append(item)
        return items

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):
            if key_node.tag == _MERGE:
                values |= self._merged(value_node, path)
                continue
            key = _key(key_node)
            place = (*path, key)
            if key in seen:
                self._document.repeated.append(place)
            seen.add(key)
            self._document.lines[place] = _line(key_node)
            values[key] = self.build(value_node, place)
        return {key: value for key, value in values.items() if value is not None}

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """What `<<` brings in: of several maps the first that has a key wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                raise DocumentError("`<<` can only merge a map: name one with `&`", _line(source))
            values |= self.build(source, path)
        return values


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise DocumentError("a key must be text: write it without brackets", _line(node))
    return _text(node)


def _text(node: yaml.Node) -> str:
    text = str(node.value)
    if not is_unicode(text):
        raise DocumentError("half a character (\\ud800 to \\udfff) stands here: write the whole one", _line(node))
    return text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
