"""Evaluates pipelines: fields, variables, calls and their arguments, with Go's rules for what each may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from core.prompt.budget import budget
from core.prompt.gotemplate.calls import Function, passed
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.functions import FUNCTIONS
from core.prompt.gotemplate.nodes import (
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    FunctionName,
    Nil,
    Number,
    Operand,
    Pipeline,
    Variable,
)
from core.prompt.gotemplate.values import MISSING, Struct, is_true, type_name


class Evaluator:
    def __init__(self) -> None:
        self.position = 0
        """Of the node that is being evaluated: the place of a mistake."""
        self._variables: list[tuple[str, Any]] = []
        """The innermost last; a name may be there several times."""

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Variables declared in this block end with it."""
        size = len(self._variables)
        try:
            yield
        finally:
            del self._variables[size:]

    @contextmanager
    def root_scope(self, root: Any) -> Iterator[None]:
        """In this block `$` is `root` and there is no other variable."""
        around, self._variables = self._variables, [("$", root)]
        try:
            yield
        finally:
            self._variables = around

    def assign(self, name: str, value: Any) -> None:
        for index in range(len(self._variables) - 1, -1, -1):
            if self._variables[index][0] == name:
                self._variables[index] = (name, value)
                return
        raise Mistake(f"the variable {name} is not declared")

    def pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        """Its value, MISSING for nil."""
        self.position = pipeline.position
        piped: tuple[Any, ...] = ()
        for command in pipeline.commands:
            value = self._command(command, dot, piped)
            piped = (MISSING if value is None else value,)
        (value,) = piped
        for name in pipeline.variables:
            if pipeline.assigns:
                self.assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, command: Command, dot: Any, piped: tuple[Any, ...]) -> Any:
        """`piped` is empty for the first command of a pipeline, else it holds the value before the `|`."""
        first, *arguments = command.operands
        if isinstance(first, FunctionName):
            return self._call(first, arguments, dot, piped)
        self.position = first.position
        if arguments or piped:
            raise Mistake("only a function can be given values, and this is none")
        if isinstance(first, Nil):
            raise Mistake("nil alone has no value to print")
        return self._operand(first, dot)

    def _call(self, name: FunctionName, arguments: Sequence[Operand], dot: Any, piped: tuple[Any, ...]) -> Any:
        self.position = name.position
        budget().spend_step()
        function = FUNCTIONS[name.name]
        function.check_count(len(arguments) + len(piped))
        if name.name in ("and", "or"):
            return self._and_or(name.name == "or", arguments, dot, piped)
        values = [self._argument(operand, function.parameter(i), dot) for i, operand in enumerate(arguments)]
        self.position = name.position
        values += [passed(value, function.parameter(len(values))) for value in piped]
        return self._result(function, values)

    def _result(self, function: Function, values: list[Any]) -> Any:
        try:
            result = function.call(*values)
        except Mistake as mistake:
            raise Mistake(f"{function.name}: {mistake}") from None
        if isinstance(result, str):
            budget().spend_text(len(result))
        return result

    def _and_or(self, wanted: bool, operands: Sequence[Operand], dot: Any, piped: tuple[Any, ...]) -> Any:
        """The first operand whose truth is `wanted`, else the last; those behind it are not evaluated."""
        value: Any = MISSING
        for operand in operands:
            value = self._argument(operand, Any, dot)
            if is_true(value) is wanted:
                return value
        return piped[0] if piped else value

    def _argument(self, operand: Operand, parameter: Any, dot: Any) -> Any:
        if isinstance(operand, Number) and parameter is int and operand.integer is not None:
            return operand.integer
        value = self._operand(operand, dot)
        self.position = operand.position
        return passed(value, parameter)

    def _operand(self, operand: Operand, dot: Any) -> Any:
        self.position = operand.position
        return _OPERANDS[type(operand)](self, operand, dot)

    def _field(self, field: Field, dot: Any) -> Any:
        return self._fields(dot, field.names)

    def _variable(self, variable: Variable, dot: Any) -> Any:
        for name, value in reversed(self._variables):
            if name == variable.name:
                return self._fields(value, variable.fields)
        raise Mistake(f"the variable {variable.name} is not declared")

    def _chain(self, chain: Chain, dot: Any) -> Any:
        value = self._argument(chain.operand, Any, dot)
        self.position = chain.position
        return self._fields(MISSING if value is None else value, chain.names)

    def _fields(self, value: Any, names: Sequence[str]) -> Any:
        for name in names:
            value = _read(value, name)
        return value


def _read(value: Any, name: str) -> Any:
    """Field or key `name`: a struct must have it, a map need not, and nothing can be read from what is neither."""
    if isinstance(value, Struct):
        if name in value.fields:
            return value.fields[name]
        known = ", ".join(f".{field}" for field in value.fields)
        raise Mistake(f"there is no field .{name} here; the template can use {known}")
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if value is MISSING:
        return MISSING
    raise Mistake(f".{name} cannot be read here: its owner is {type_name(value)}")


_OPERANDS: Mapping[type, Callable[[Evaluator, Any, Any], Any]] = {
    Chain: Evaluator._chain,
    Constant: lambda _, constant, dot: constant.value,
    Dot: lambda _, operand, dot: dot,
    Field: Evaluator._field,
    FunctionName: lambda evaluator, name, dot: evaluator._call(name, (), dot, ()),
    Nil: lambda _, nil, dot: MISSING,
    Number: lambda _, number, dot: number.value,
    Pipeline: lambda evaluator, pipeline, dot: evaluator.pipeline(pipeline, dot),
    Variable: Evaluator._variable,
}
