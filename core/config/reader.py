"""One YAML file -> its typed configs and everything wrong with it, each with its line.

A file holds one config or a list of them; a bad one in a list spares the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.config.document import Document, DocumentError, KeyPath, parse_document
from core.config.model import ModelConfig
from core.config.notices import notices
from core.config.problem import Problem, Severity

MAX_FILE_BYTES = 256 * 1024

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a map",
    "model_type": "a map",
    "tuple_type": "a list",
}


def read_config_file(path: Path) -> tuple[list[ModelConfig], list[Problem]]:
    """Never raises for what is in the file, or for a file that cannot be read."""
    try:
        document = parse_document(_read_text(path))
    except DocumentError as error:
        return [], [Problem(str(path), error.line, None, error.message)]
    reader = _Reader(path, document)
    reader.read()
    return reader.configs, reader.problems


class _Reader:
    def __init__(self, path: Path, document: Document) -> None:
        self.configs: list[ModelConfig] = []
        self.problems: list[Problem] = []
        self._path = path
        self._document = document

    def read(self) -> None:
        for repeated in self._document.repeated:
            self._report(repeated, "is written twice: the last one counts", "warning")
        value = self._document.value
        entries = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, entry in entries:
            place = () if index is None else (index,)
            if isinstance(entry, Mapping):
                self._read_config(entry, place)
            else:
                self._report(place, "holds no model: write `name:` and `parameters:` with a `model:` into it")

    def _read_config(self, entry: Mapping[str, Any], place: KeyPath) -> None:
        name = entry.get("name") or self._path.stem
        if name != entry.get("name"):
            self._report((*place, "name"), f"is missing: the file's own name, {name!r}, is used", "warning")
        for path, message in notices(entry):
            self._report((*place, *path), message, "warning")
        try:
            values = {**entry, "name": name, "root": self._path.parent, "source": self._path}
            self.configs.append(ModelConfig.model_validate(values))
        except ValidationError as error:
            for details in error.errors():
                self._report((*place, *details["loc"]), _explain(details))

    def _report(self, place: KeyPath, message: str, severity: Severity = "error") -> None:
        known = place
        while known and known not in self._document.lines:
            known = known[:-1]
        key = ".".join(str(step) for step in place if step != "[key]")
        self.problems.append(Problem(str(self._path), self._document.lines.get(known), key or None, message, severity))


def _read_text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DocumentError(f"{size} bytes are no model's configuration: at most {MAX_FILE_BYTES} are read")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 (byte {error.start}): save it as UTF-8") from error


def _explain(details: ErrorDetails) -> str:
    value, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"{value} is too small: give at least {context['ge']}"
        case "less_than_equal":
            return f"{value} is too large: give at most {context['le']}"
        case "literal_error":
            return f"{value!r} is not known: give {context['expected']}"
        case kind if kind in _EXPECTED:
            found = "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else repr(value)
            return f"{found} stands where {_EXPECTED[kind]} belongs"
    return details["msg"]
