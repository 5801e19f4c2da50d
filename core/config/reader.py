"""One YAML file -> its typed configs and everything wrong with it, each with its line.

A file holds one config, a list of them or one of LocalAI's gallery definitions; a bad one in a list spares the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.config import gallery
from core.config.checks import check
from core.config.defaults import FolderDefaults
from core.config.document import Document, DocumentError, KeyPath, parse_document
from core.config.entry import Entry
from core.config.model import ModelConfig
from core.config.problem import Problem, Severity
from core.config.regexes import compilable
from core.config.scalars import brief, shortened
from core.config.spelling import INTERNAL, has_known_key

MAX_FILE_BYTES = 256 * 1024

_NO_MODEL = "holds no model: write `name:` and `parameters:` with a `model:` into it"
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a map",
    "mapping_type": "a map",
    "model_type": "a map",
    "tuple_type": "a list",
}


def read_config_file(path: Path, defaults: FolderDefaults) -> tuple[list[ModelConfig], list[Problem]]:
    """Never raises for what is in the file, or for a file that cannot be read."""
    try:
        document = parse_document(read_text(path))
    except DocumentError as error:
        return [], [Problem(str(path), error.line, None, error.message)]
    reader = _Reader(path, document, defaults)
    reader.read()
    return reader.configs, reader.problems


class _Reader:
    def __init__(self, path: Path, document: Document, defaults: FolderDefaults) -> None:
        self.configs: list[ModelConfig] = []
        self.problems: list[Problem] = []
        self._path = path
        self._document = document
        self._defaults = defaults

    def read(self) -> None:
        value, whole = self._document.value, Entry(self._path, {}, self._document)
        if gallery.is_index(value):
            self._report(whole, (), "is a list of models to install, none is served: see `warmfn pull`", "warning")
            return
        self._report_repeated(whole)
        for index, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            place = () if index is None else (index,)
            if isinstance(item, Mapping):
                self._read_entry(Entry(self._path, item, self._document, place))
            else:
                self._report(whole, place, _NO_MODEL)

    def _read_entry(self, entry: Entry) -> None:
        if gallery.is_definition(entry.values):
            try:
                entry = gallery.unwrap(entry)
            except DocumentError as error:
                self.problems.append(entry.problem(("config_file",), error.message, line=error.line))
                return
            self._report_repeated(entry)
        if not has_known_key(entry.values):
            self._report(Entry(self._path, {}, entry.document), entry.place, _NO_MODEL)
            return
        if config := self._typed(entry):
            config, problems = check(entry, self._defaults.apply(config))
            self.problems += problems
            self.configs.append(config)

    def _typed(self, entry: Entry) -> ModelConfig | None:
        if not entry.values.get("name"):
            self._report(entry, ("name",), f"is missing: the file's own name, {entry.name!r}, is used", "warning")
        values, faults = compilable(entry.values)
        for key, message in faults:
            self._report(entry, key, message, "warning")
        own = {key: value for key, value in values.items() if key not in INTERNAL}
        try:
            return ModelConfig.model_validate(
                own | {"name": entry.values.get("name") or entry.name, "root": self._path.parent, "source": self._path}
            )
        except ValidationError as error:
            for details in error.errors():
                self._report(entry, details["loc"], _explain(details))
            return None

    def _report_repeated(self, entry: Entry) -> None:
        for key in entry.document.repeated:
            self._report(entry, key, "is written twice: the last one counts, remove the other", "warning")

    def _report(self, entry: Entry, key: KeyPath, message: str, severity: Severity = "error") -> None:
        self.problems.append(entry.problem(key, message, severity))


def read_text(path: Path) -> str:
    """Raises DocumentError."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DocumentError("is not a file: put the YAML itself there")
        if size > MAX_FILE_BYTES:
            raise DocumentError(f"{size} bytes are no model's configuration: at most {MAX_FILE_BYTES} are read")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}: put the file there and make it readable") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8 (byte {error.start}): save it as UTF-8") from error


def _explain(details: ErrorDetails) -> str:
    value, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"{shortened(str(value))} is too small: give at least {context['ge']}"
        case "less_than_equal":
            return f"{shortened(str(value))} is too large: give at most {context['le']}"
        case "literal_error":
            return f"{brief(value)} is not known: give {context['expected']}"
        case kind if kind in _EXPECTED:
            found = "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else brief(value)
            return f"{found} stands here: write {_EXPECTED[kind]}"
    return f"{details['msg']}: correct this value"
