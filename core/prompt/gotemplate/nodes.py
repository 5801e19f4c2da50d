"""The parsed template: what Go's parser calls its tree.

`position` is the index in the source that Go would report for the node. Every node is immutable, so that one tree can
be rendered by several threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Dot:
    position: int


@dataclass(frozen=True, slots=True)
class Nil:
    position: int


@dataclass(frozen=True, slots=True)
class Constant:
    position: int
    value: str | bool


@dataclass(frozen=True, slots=True)
class Number:
    """Go's ideal constant: `integer` is what an integer parameter receives, None if it is not integral."""

    position: int
    value: int | float
    integer: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`, read from dot."""

    position: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.A.B`; `name` includes the dollar sign."""

    position: int
    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionName:
    position: int
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipeline).A.B`."""

    position: int
    operand: Operand
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """The first operand is what is run or printed, the others are its arguments."""

    position: int
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    position: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...]
    """Names that receive the value, two only for `range $key, $value := ...`."""
    assigns: bool
    """`=` instead of `:=`."""


Operand: TypeAlias = Dot | Nil | Constant | Number | Field | Variable | FunctionName | Chain | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    position: int
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if` or `with`, with the arms of every `else if` or `else with`."""

    position: int
    arms: tuple[tuple[Pipeline, Body], ...]
    otherwise: Body
    rebinds_dot: bool


@dataclass(frozen=True, slots=True)
class Range:
    position: int
    pipeline: Pipeline
    body: Body
    otherwise: Body


@dataclass(frozen=True, slots=True)
class Call:
    """`{{template "name" pipeline}}`."""

    position: int
    name: str
    pipeline: Pipeline | None


@dataclass(frozen=True, slots=True)
class Break:
    position: int


@dataclass(frozen=True, slots=True)
class Continue:
    position: int


Node: TypeAlias = Text | Action | Branch | Range | Call | Break | Continue
Body: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """`definitions` are the bodies of all `define` and `block`, and the template's own under MAIN."""

    definitions: Mapping[str, Body]
    fields: frozenset[str]
    """Names of fields read from dot or from `$`."""


MAIN = "prompt"
"""LocalAI's name for every template; a `define` of this name and text outside of it exclude each other."""
