"""One config as written in its file, before anything of it has a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config.document import Document, KeyPath
from core.config.problem import Problem, Severity
from core.config.templates import Written


@dataclass(frozen=True)
class Entry:
    """`values` are those at `place` of the document, none for the file as a whole; `named` are the templates that a
    gallery definition brings along."""

    path: Path
    values: Mapping[str, Any]
    document: Document
    place: KeyPath = ()
    named: Mapping[str, Written] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its own, or else the file's."""
        name = self.values.get("name")
        return name if name and isinstance(name, str) else self.path.stem

    def line(self, key: KeyPath) -> int | None:
        """Of the key, or of the innermost one around it that stands in the file."""
        place = (*self.place, *key)
        while place and place not in self.document.lines:
            place = place[:-1]
        return self.document.lines.get(place)

    def written(self, key: KeyPath) -> Written | None:
        """The text at `key`."""
        value: Any = self.values
        for step in key:
            value = value.get(step) if isinstance(value, Mapping) else None
        if not isinstance(value, str):
            return None
        return Written(value, self.document.text_lines.get((*self.place, *key)))

    def problem(self, key: KeyPath, message: str, severity: Severity = "error", *, line: int | None = None) -> Problem:
        """What is wrong with the value at `key`."""
        dotted = ".".join(str(step) for step in (*self.place, *key) if step != "[key]")
        model = self.name if self.values else None
        return Problem(str(self.path), line or self.line(key), dotted or None, message, severity, model)
