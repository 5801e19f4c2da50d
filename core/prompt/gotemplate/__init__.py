"""Go's text/template for prompts: the same text, byte for byte, or the same refusal, as LocalAI gives.

The source is parsed once and interpreted for each rendering. Whatever the source and the data are, a template raises
nothing but TemplateError, and a rendering ends within its budget of steps, text and time (`core.prompt.budget`).

Not offered: complex numbers, methods of values, sprig beyond what prompts use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.prompt.budget import TooCostly, budgeted
from core.prompt.gotemplate.data import call, root, text
from core.prompt.gotemplate.errors import Mistake, TemplateError, TemplateRuntimeError, TemplateSyntaxError

if TYPE_CHECKING:
    from core.prompt.gotemplate.reads import FieldRead

# Parser and interpreter are imported where they are used: a folder without Go templates need not wait for them.

__all__ = ["GoTemplate", "TemplateError", "TemplateRuntimeError", "TemplateSyntaxError", "render_template", "to_json"]


class GoTemplate:
    """Thread-safe once built. Raises TemplateSyntaxError if `source` is no template."""

    def __init__(self, source: str) -> None:
        from core.prompt.gotemplate.parser import parse

        self._source = text(source)
        tree = parse(self._source)
        self._definitions = tree.definitions
        self.fields = tree.fields
        """Names of the fields that are read from dot or `$` anywhere, whether or not the data has them."""

    def root_reads(self) -> list[FieldRead]:
        """What it reads from its data itself; see `reads.root_reads`."""
        from core.prompt.gotemplate.reads import root_reads

        return root_reads(self._definitions)

    def render(self, data: Mapping[str, Any]) -> str:
        """The prompt for `data`: LocalAI's field names, JSON-like values; what `data` lacks is no field.

        Tools (`Functions`), tool calls (a list as `FunctionCall`) and media (`Images`, `Audio`, `Video`) are given as
        their JSON objects. Raises TemplateRuntimeError.
        """
        from core.prompt.gotemplate.interpreter import Interpreter
        from core.prompt.gotemplate.nodes import MAIN

        interpreter = Interpreter(self._definitions)
        try:
            with budgeted(data):
                return interpreter.render(MAIN, root(data))
        except (Mistake, TooCostly) as error:
            message = str(error)
        except RecursionError:
            message = "values are nested too deeply"
        raise TemplateRuntimeError.at(self._source, interpreter.position, message)


def render_template(source: str, data: Mapping[str, Any]) -> str:
    """One template with one data object."""
    return GoTemplate(source).render(data)


def to_json(calls: Any) -> str:
    """A message's `tool_calls` or `function_call` as LocalAI prints it without a template: Go's JSON.

    Raises TemplateRuntimeError for what JSON cannot write.
    """
    from core.prompt.gotemplate.gojson import to_json as write_json

    try:
        with budgeted(calls):
            return write_json(call(calls))
    except (Mistake, TooCostly, RecursionError) as error:
        raise TemplateRuntimeError(str(error), 1, 0) from None
