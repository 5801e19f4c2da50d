"""The Jinja chat template inside a model's weights: messages -> the prompt text the model was trained on.

The dialect is that of transformers' `apply_chat_template`. Importing this module imports jinja2, so only a loaded text
model should.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError

from core.errors import ModelUnusable
from core.prompt.budget import TooCostly, budgeted
from core.prompt.sandbox import TemplateSandbox

_FILE_NAME = "<chat template>"

# What an expression can raise; a template is a program, and its mistakes are the model's.
_FAILURES = (
    TemplateError,
    TooCostly,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)


class ChatTemplate:
    """Thread-safe once built. Raises ModelUnusable if `source` is no template."""

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        self._special_tokens = {"bos_token": bos_token, "eos_token": eos_token}
        environment = TemplateSandbox()
        try:
            with budgeted():
                code = environment.compile(source, filename=_FILE_NAME)
        except TemplateSyntaxError as error:
            raise ModelUnusable(
                f"the model's chat template is broken in line {error.lineno}: {error.message}"
            ) from error
        except (SyntaxError, RecursionError) as error:
            raise ModelUnusable("the model's chat template is nested too deeply") from error
        self._template = environment.template_class.from_code(environment, code, environment.make_globals(None))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **extra: Any,
    ) -> str:
        """The prompt for `messages` ({"role", "content", ...}); `extra` are further variables the template may know.

        Raises InvalidRequest if the template refuses the messages (`raise_exception`), ModelUnusable if it fails.
        """
        variables = {"messages": messages, "tools": tools, "documents": None, **extra}
        try:
            with budgeted(variables):
                return self._template.render(
                    variables, add_generation_prompt=add_generation_prompt, **self._special_tokens
                )
        except _FAILURES as error:
            message = f"the model's chat template failed in line {_template_line(error)}: {error}"
            raise ModelUnusable(message) from error


def _template_line(error: BaseException) -> int | str:
    """The innermost template line of `error`'s traceback, which jinja2 has mapped from its generated code."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE_NAME]
    return lines[-1] if lines and lines[-1] is not None else "?"
