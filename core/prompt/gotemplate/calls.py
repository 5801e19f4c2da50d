"""A function of the template language: a Python function whose annotations are Go's parameter types.

`str`, `bool` and `dict` take just that, `int` takes Go's int, and `Any` takes everything. What a function builds out of
small values it pays for before it builds it, unless its result is no larger than its arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.values import MISSING, NilMap, StringMap, type_name

_WORDS = {bool: "true or false", dict: "a map", int: "an int", str: "a text"}


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    call: Callable[..., Any]
    parameters: tuple[Any, ...]
    repeated: Any
    """The type of all further arguments; None where there are no further ones."""

    def parameter(self, index: int) -> Any:
        """The type of the argument at `index`."""
        return self.parameters[index] if index < len(self.parameters) else self.repeated

    def check_count(self, count: int) -> None:
        wanted = len(self.parameters)
        if count < wanted or (count > wanted and self.repeated is None):
            least = "at least " if self.repeated is not None else ""
            raise Mistake(f"{self.name} needs {least}{wanted} values and is given {count}")


def table(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Function]:
    return {name: _function(name, call) for name, call in functions.items()}


def _function(name: str, call: Callable[..., Any]) -> Function:
    hints = {parameter: get_origin(hint) or hint for parameter, hint in get_type_hints(call).items()}
    parameters = inspect.signature(call).parameters.values()
    fixed = tuple(hints[p.name] for p in parameters if p.kind is not p.VAR_POSITIONAL)
    repeated = next((hints[p.name] for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    return Function(name, call, fixed, repeated)


def passed(value: Any, parameter: Any) -> Any:
    """`value` as an argument for a parameter of the type `parameter`."""
    if parameter is Any:
        return None if value is MISSING else value
    if parameter is dict:
        if value is MISSING:
            return NilMap()
        if isinstance(value, dict) and not isinstance(value, StringMap):
            return value
    elif type(value) is parameter:
        return value
    raise Mistake(f"{_WORDS[parameter]} is needed here, and this is {type_name(value)}")
