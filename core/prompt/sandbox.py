"""The Jinja environment chat templates run in: transformers' dialect, without anything a template could do harm with.

Every loop, call, operator and filter that can multiply work or text goes through the rendering's budget. What makes
text of any length and no honest template needs (`|center`, `.zfill`) is not offered at all.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import InvalidRequest
from core.prompt import budget as cost
from core.prompt.budget import budget
from core.prompt.metering import METERING_FILTERS, Meter, weighed

_REFUSED_FILTERS = (
    "batch",
    "center",
    "groupby",
    "pprint",
    "slice",
    "striptags",
    "urlencode",
    "urlize",
    "wordwrap",
    "xmlattr",
)
_REFUSED_METHODS = {"center", "encode", "expandtabs", "fromkeys", "ljust", "rjust", "to_bytes", "translate", "zfill"}
_MAX_JSON_INDENT = 8

_SPEND_BY_FILTER: dict[str, Callable[..., None]] = {
    "format": cost.spend_percent,
    "indent": cost.spend_indent,
    "join": cost.spend_join,
    "replace": cost.spend_replace,
    "string": lambda value: budget().spend_values(value),
    "sum": cost.spend_sum,
}
_SPEND_BY_OPERATOR: dict[str, Callable[[Any, Any], None]] = {
    "+": lambda left, right: budget().spend_text(_length(left) + _length(right)),
    "*": cost.spend_repeat,
    "**": cost.spend_power,
    "%": lambda left, right: cost.spend_percent(left, right) if isinstance(left, str) else None,
}


class GenerationTag(Extension):
    """`{% generation %}` marks the assistant's words for training; here it only encloses them."""

    tags = {"generation"}  # noqa: RUF012 (declared so by jinja2)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """Compile and render with it inside `budgeted()` only."""

    intercepted_binops = frozenset(_SPEND_BY_OPERATOR)

    def __init__(self) -> None:
        extensions = [GenerationTag, loopcontrols]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, finalize=_spend_output)
        self.filters["tojson"] = _to_json
        for name in _REFUSED_FILTERS:
            del self.filters[name]
        self.filters = {name: _metered(function, name) for name, function in self.filters.items()}
        self.filters |= METERING_FILTERS
        del self.globals["lipsum"], self.globals["cycler"]
        # The class itself would offer dict.update, which changes what it is given.
        self.globals["dict"] = lambda *args, **kwargs: weighed(dict(*args, **kwargs))
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda format: datetime.now().strftime(format)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        metered = Meter().visit(source)
        metered.set_environment(self)
        return super()._generate(metered, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _REFUSED_METHODS and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _SPEND_BY_OPERATOR[operator](left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        budget().spend_step()
        text = getattr(obj, "__self__", None)
        if isinstance(text, str) and obj.__name__ == "replace":
            cost.spend_replace(text, *args)
        elif isinstance(text, str) and obj.__name__ == "join":
            args = (_sized(args[0]), *args[1:])
            cost.spend_join(args[0], text)
        elif isinstance(obj, Macro) and (obj.catch_varargs or obj.catch_kwargs):
            budget().spend_values(args, kwargs)
        return _spend_result(super().call(context, obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        @functools.wraps(wrapped)
        def checked(*args: Any, **kwargs: Any) -> str:
            cost.spend_format(value.__self__, *args, **kwargs)
            return wrapped(*args, **kwargs)

        return checked


def _metered(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    spend = _SPEND_BY_FILTER.get(name)
    num_passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def spending(*args: Any, **kwargs: Any) -> Any:
        budget().spend_step()
        if spend is not None:
            args = (*args[:num_passed], _sized(args[num_passed]), *args[num_passed + 1 :])
            spend(*args[num_passed:], **kwargs)
        return _spend_result(function(*args, **kwargs))

    return spending


def _sized(value: Any) -> Any:
    return list(value) if isinstance(value, Iterator) else value


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else 0


def _spend_result(value: Any) -> Any:
    budget().spend_text(_length(value))
    return value


def _spend_output(value: Any) -> Any:
    budget().spend_values(value)
    return value


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it: no HTML escapes, and other scripts stay readable."""
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii,
        indent=indent if indent is None else min(indent, _MAX_JSON_INDENT),
        separators=separators,
        sort_keys=sort_keys,
    )
    # Piece by piece, because deep indentation and long separators cost far more than the values.
    return "".join(_spend_result(piece) for piece in encoder.iterencode(value))


def _raise_exception(message: str) -> None:
    raise InvalidRequest(f"the model's chat template refuses these messages: {message}", param="messages")
