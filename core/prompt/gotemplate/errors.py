"""What can go wrong with a Go template, told with the place in its source.

Invariant: whatever the source and the data are, compiling raises only TemplateSyntaxError and rendering only
TemplateRuntimeError.
"""

from __future__ import annotations

from typing import Self


class TemplateError(Exception):
    """`line` counts from 1, `column` is the number of bytes before the place in its line, both as Go reports them."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.message = message
        self.line = line
        self.column = column

    @classmethod
    def at(cls, source: str, position: int, message: str) -> Self:
        """The error for the character `source[position]`."""
        line_start = source.rfind("\n", 0, position) + 1
        column = len(source[line_start:position].encode())
        return cls(message, source.count("\n", 0, position) + 1, column)


class TemplateSyntaxError(TemplateError):
    """The source is no template: Go's parse stage."""


class TemplateRuntimeError(TemplateError):
    """The template cannot print this data, or not within its budget: Go's execution stage."""


class Mistake(Exception):
    """A TemplateError whose place is not known where it is found; the parser and the interpreter add it."""
