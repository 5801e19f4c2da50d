"""LocalAI's gallery files, which some folders hold: a definition is read as the model it would be installed as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.config.document import Document, DocumentError, KeyPath, parse_document
from core.config.entry import Entry
from core.config.templates import Written


def is_index(value: Any) -> bool:
    """Whether a file lists models to install rather than models."""
    return isinstance(value, list) and bool(value) and all(_is_index_item(item) for item in value)


def _is_index_item(item: Any) -> bool:
    if not isinstance(item, Mapping) or item.keys() & {"backend", "parameters"}:
        return False
    return "url" in item or "overrides" in item


def is_definition(entry: Mapping[str, Any]) -> bool:
    return "config_file" in entry or "prompt_templates" in entry


def unwrap(entry: Entry) -> Entry:
    """The config inside a definition, with the definition's name, files and templates. Raises DocumentError."""
    text = entry.values.get("config_file")
    if not isinstance(text, str):
        raise DocumentError(
            "this gallery definition has no config in it: write one into `config_file`, or install it in LocalAI",
            entry.line(()),
        )
    first_line = entry.document.text_lines.get((*entry.place, "config_file"))
    try:
        document = parse_document(text)
    except DocumentError as error:
        line = error.line + first_line - 1 if error.line and first_line else entry.line(("config_file",))
        raise DocumentError(f"config_file: {error.message}", line) from error
    own = document.value if isinstance(document.value, Mapping) else {}
    given = {"name": entry.values.get("name"), "download_files": entry.values.get("files")}
    return Entry(
        entry.path,
        {**own, **{key: value for key, value in given.items() if value}},
        _shifted(document, first_line, entry.line(("config_file",))),
        named=_templates(entry),
    )


def _templates(entry: Entry) -> dict[str, Written]:
    templates: dict[str, Written] = {}
    items = entry.values.get("prompt_templates")
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, Mapping) and isinstance(name := item.get("name"), str):
            path: KeyPath = (*entry.place, "prompt_templates", index, "content")
            templates[name] = Written(str(item.get("content") or ""), entry.document.text_lines.get(path))
    return templates


def _shifted(inner: Document, first_line: int | None, line: int | None) -> Document:
    """The inner document with the lines of the file around it; all on `line` where the text is no block."""

    def move(lines: dict[KeyPath, int]) -> dict[KeyPath, int]:
        return {path: number + first_line - 1 if first_line else line or 1 for path, number in lines.items()}

    return Document(inner.value, move(inner.lines), move(inner.text_lines) if first_line else {}, inner.repeated)
