"""One of a config's Go templates in use: what is wrong with it is told by those requests that need it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from core.config.templates import TemplateKind, TemplateSource
from core.errors import ModelUnusable
from core.prompt.gotemplate import GoTemplate, TemplateError

logger = logging.getLogger("warmfn.prompt")


class TemplateFault(ModelUnusable):
    """A ModelUnusable that knows which template is at fault; `reason` is the message without the place.

    `line` is one of the template; None where no single one is at fault.
    """

    def __init__(self, place: str, kind: TemplateKind, reason: str, line: int | None) -> None:
        super().__init__(f"{place}: {reason if line is None else f'line {line}: {reason}'}")
        self.kind = kind
        self.reason = reason
        self.line = line


class ConfigTemplate:
    """`is_strict` is LocalAI's way: a missing file's name is the template, and a template that fails is passed over."""

    def __init__(self, model: str, kind: TemplateKind, source: TemplateSource, *, is_strict: bool) -> None:
        self._kind = kind
        self._place = f"{model}: {source.origin}"
        self._is_strict = is_strict
        self._is_told = False
        try:
            self._template: GoTemplate | TemplateError = GoTemplate(source.text)
        except TemplateError as error:
            self._template = error
        self._problem = None if is_strict else source.problem

    def render(self, data: Mapping[str, Any]) -> str | None:
        """What the template prints; None where LocalAI silently goes on without it. Raises TemplateFault otherwise."""
        if self._problem:
            raise TemplateFault(self._place, self._kind, self._problem, None)
        try:
            if isinstance(self._template, GoTemplate):
                return self._template.render(data)
            error = self._template
        except TemplateError as failure:
            error = failure
        fault = TemplateFault(self._place, self._kind, error.message, error.line)
        if not self._is_strict:
            raise fault
        if not self._is_told:  # once will do, and not for every message
            self._is_told = True
            logger.warning("%s; going on without this template (compat: strict)", fault.message)
        return None
