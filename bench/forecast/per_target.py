"""Options of the form NAME=VALUE, once for each target that they are about."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.errors import BenchError
from bench.scenario import Scenario

T = TypeVar("T")


def by_target(option: str, texts: Sequence[str], scenario: Scenario, parse: Callable[[str], T]) -> dict[str, T]:
    """Raises BenchError naming the option and what is wrong with it."""
    names = [target.name for target in scenario.targets]
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in names:
            raise BenchError(f"{option} {text}: no target {name!r} in the scenario; it has {', '.join(names)}")
        try:
            found[name] = parse(value)
        except ValueError as error:
            raise BenchError(f"{option} {text}: {error}") from error
    return found


def in_and_out(text: str) -> tuple[float, float]:
    """`IN:OUT`. Raises ValueError."""
    into, _, out = text.partition(":")
    try:
        numbers = float(into), float(out)
    except ValueError:
        raise ValueError(f"{text!r} is not IN:OUT, two numbers") from None
    if not all(0 <= number < math.inf for number in numbers):
        raise ValueError("both numbers are 0 or more")
    return numbers
