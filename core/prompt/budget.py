"""How much work one rendering of a chat template may do, and what each operation on text would cost.

A template comes with a model and is not trusted. It may loop and build text only within the budget of the rendering it
runs in; whatever could make a large value out of small ones asks the budget first, with the size that would result.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MAX_STEPS = 250_000
"""Loop iterations and calls."""

MAX_SECONDS = 5.0
"""Far above what an honest template takes; ends a rendering whose every step is as dear as the budget allows."""

BASE_TEXT = 4_000_000
TEXT_PER_INPUT = 20
"""Characters that may be built, beside BASE_TEXT, for each character of messages and tools."""

MAX_INT_BITS = 1024
MAX_FORMAT_LENGTH = 10_000


class TooCostly(Exception):
    """The template used up its budget."""


class Budget:
    def __init__(self, input_size: int) -> None:
        self._steps = MAX_STEPS
        self._text = BASE_TEXT + TEXT_PER_INPUT * input_size
        self._deadline = time.monotonic() + MAX_SECONDS

    def spend_step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise TooCostly(f"more than {MAX_STEPS} loop steps and calls")
        if time.monotonic() > self._deadline:
            raise TooCostly(f"rendering took more than {MAX_SECONDS:.0f} s")

    def spend_text(self, size: int) -> None:
        self._text -= size
        if self._text < 0:
            raise TooCostly("more text than the messages can account for")

    def spend_values(self, *values: Any) -> None:
        """The size that `values` have as text; stops counting where the budget ends."""
        for size in _sizes(values):
            self.spend_text(size)


_current: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def budgeted(*inputs: Any) -> Iterator[None]:
    """Within this block templates compile and render on a budget that fits `inputs`."""
    token = _current.set(Budget(sum(_sizes(inputs))))
    try:
        yield
    finally:
        _current.reset(token)


def budget() -> Budget:
    return _current.get()


def _sizes(values: Iterable[Any]) -> Iterator[int]:
    """Sizes that add up to about the length of `values` as text; nested values count as often as they occur."""
    pending = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(value.keys())
            pending.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            pending.extend(value)
        yield 1 + (len(value) if isinstance(value, str) else value.bit_length() // 3 if isinstance(value, int) else 4)


def spend_repeat(left: Any, right: Any) -> None:
    """For `left * right`, where one may be text or a list."""
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | list | tuple) and isinstance(times, int):
            budget().spend_text(len(value) * max(times, 0))
    _limit_bits(left, right, lambda a, b: a.bit_length() + b.bit_length())


def spend_power(left: Any, right: Any) -> None:
    _limit_bits(left, right, lambda a, b: a.bit_length() * max(b, 0))


def _limit_bits(left: Any, right: Any, bits: Callable[[int, int], int]) -> None:
    if isinstance(left, int) and isinstance(right, int) and bits(left, right) > MAX_INT_BITS:
        raise TooCostly(f"a number of more than {MAX_INT_BITS} bits")


def spend_replace(s: str, old: str, new: str, count: int | None = None) -> None:
    del count
    budget().spend_text(len(str(s)) + str(s).count(str(old)) * len(str(new)))


def spend_join(value: Any, d: str = "", attribute: Any = None) -> None:
    del attribute
    budget().spend_text(len(value) * len(d))
    budget().spend_values(value)


def spend_indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> None:
    del first, blank
    budget().spend_text((str(s).count("\n") + 1) * (width if isinstance(width, int) else len(width)))


def spend_sum(value: Any, attribute: Any = None, start: Any = 0) -> None:
    del attribute
    # Adding up lists copies the growing result once per item.
    budget().spend_text(len(value) * len(value) if isinstance(start, list | tuple | str) else len(value))
    budget().spend_values(value)


def spend_percent(value: str, *args: Any, **kwargs: Any) -> None:
    """For `%` and `|format`."""
    _refuse_wide(value, r"%(\([^)]*\))?[^a-zA-Z%]*(\*|\d{4})")
    budget().spend_values(value, args, kwargs)


def spend_format(value: str, *args: Any, **kwargs: Any) -> None:
    """For `.format` and `.format_map`."""
    _refuse_wide(value.replace("{{", ""), r"\{[^{}]*(\{|\d{4})")
    budget().spend_values(value, args, kwargs)


def _refuse_wide(value: str, wide: str) -> None:
    """`wide` matches a width of four digits and one that is computed."""
    if len(value) > MAX_FORMAT_LENGTH or re.search(wide, value):
        raise TooCostly("a format with a very large or a computed width")
