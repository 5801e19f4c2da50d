"""One of a config's Go templates in use: what is wrong with it is told by those requests that need it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from core.config.templates import TemplateSource
from core.errors import ModelUnusable
from core.prompt.gotemplate import GoTemplate, TemplateError

logger = logging.getLogger("warmfn.prompt")


class ConfigTemplate:
    """`is_strict` is LocalAI's way: a missing file's name is the template, and a template that fails is passed over."""

    def __init__(self, model: str, source: TemplateSource, *, is_strict: bool) -> None:
        self._place = f"{model}: {source.origin}"
        self._is_strict = is_strict
        self._problem = None if is_strict else source.problem
        try:
            self._template: GoTemplate | None = GoTemplate(source.text)
        except TemplateError as error:
            self._template = None
            self._problem = self._problem or str(error)

    def render(self, data: Mapping[str, Any]) -> str | None:
        """What the template prints; None where LocalAI silently goes on without it. Raises ModelUnusable otherwise."""
        problem = self._problem
        if self._template and not problem:
            try:
                return self._template.render(data)
            except TemplateError as error:
                problem = str(error)
        if not self._is_strict:
            raise ModelUnusable(f"{self._place}: {problem}")
        logger.warning("%s: %s; going on without this template (compat: strict)", self._place, problem)
        return None
