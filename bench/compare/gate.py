"""A gate file (`bench.gate/1`): what a change may cost, and what it must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from bench.compare.comparable import SAME
from bench.compare.families import Counted, Measure, read_measure
from bench.compare.metrics import Better
from bench.errors import BenchError
from bench.files import read_yaml
from bench.strict import Strict

EXAMPLE = """\
schema: bench.gate/1
require: {same: [scenario.hash, model.sha256, env.class], min_rounds: 5}
rules:
  - {metric: decode_tok_s, better: higher, max_regression: 3%}
  - {metric: ttft_ms.p95, better: lower, max_regression: 10%, targets: [ours]}
  - {metric: ttft_ms.p95, max: 2000, stages: [single-stream]}
  - {metric: context.effective, better: higher, max_regression: 0}
  - {metric: failed, max: 0.05}
on_unresolved: warn
on_missing: fail
"""


def _percent(value: object) -> object:
    """`3%` is 0.03."""
    if isinstance(value, str) and value.endswith("%"):
        return float(value.removesuffix("%")) / 100
    return value


def _metric_name(value: str) -> str:
    try:
        return str(read_measure(value))
    except BenchError as error:
        raise ValueError(error.message) from error


def _known_condition(value: str) -> str:
    if value not in SAME:
        raise ValueError(f"unknown; there are {', '.join(SAME)}")
    return value


Share: TypeAlias = Annotated[float, BeforeValidator(_percent), Field(ge=0, lt=1)]
OnDoubt: TypeAlias = Literal["fail", "warn"]


class Rule(Strict):
    """Either relative to the other side (`better` and `max_regression`), or absolute for B (`min`, `max` or both).
    It is about every stage and target unless it names some; of what has other places than those (the families of
    `bench.compare.families`), `stages` are their first words and `targets` their second. Of shares, `max_regression` is
    a difference: 1% is a point."""

    metric: Annotated[str, AfterValidator(_metric_name)]
    better: Better | None = None
    max_regression: Share | None = None
    min: float | None = None
    max: float | None = None
    stages: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        relative = self.better is not None and self.max_regression is not None
        absolute = self.min is not None or self.max is not None
        if relative == absolute or (self.better is None) != (self.max_regression is None):
            raise ValueError("give `better` and `max_regression`, or `min` and/or `max`")
        if self.better and self.better != self.measured.better:
            raise ValueError(f"{self.metric}: {self.measured.better} is better")
        return self

    @property
    def measured(self) -> Measure:
        return read_measure(self.metric)

    @property
    def is_absolute(self) -> bool:
        return self.max_regression is None

    def __str__(self) -> str:
        if self.max_regression is not None:
            points = isinstance(self.measured, Counted)
            words = f"{100 * self.max_regression:.1f} points" if points else f"{self.max_regression:.1%}"
            return f"{self.metric}: at most {words} worse"
        bounds = (("at least", self.min), ("at most", self.max))
        return f"{self.metric}: " + ", ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)


class Require(Strict):
    same: tuple[Annotated[str, AfterValidator(_known_condition)], ...] = tuple(SAME)
    min_rounds: int = Field(default=5, ge=2, description="of each side; with fewer a rule is unresolved")


class Gate(Strict):
    schema_: Literal["bench.gate/1"] = Field(alias="schema")
    require: Require = Require()
    rules: tuple[Rule, ...] = Field(min_length=1)
    on_unresolved: OnDoubt = "warn"
    on_missing: OnDoubt = "fail"


def read_gate(path: Path) -> Gate:
    """Raises BenchError naming the file and every key at fault."""
    try:
        return Gate.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'gate'}: {fault['msg']}" for fault in error.errors())
        raise BenchError("\n".join(f"{path}: {fault}" for fault in faults)) from error
