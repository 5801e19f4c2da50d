"""How well a model answers from texts of each length, against its own answers from a short one.

A length counts while its score is at least THRESHOLD of the short text's (NoLiMa's effective length, arXiv 2502.05167):
what a model cannot do in a short text either says nothing about length.
"""

from __future__ import annotations

from collections import Counter

from bench.context.haystack import DEPTHS, TASKS, Question
from bench.context.parts import Cell, EffectivePart, LengthScore, TaskScore, Verdict
from bench.context.sequential import judge
from bench.stats import wilson

THRESHOLD = 0.85
MIN_BASE = 0.6
"""A task that the model gets right less often than this in a short text is not asked about in longer ones: to tell 85 %
of a half from a half takes some hundred questions, and of less more."""


class Scores:
    """`most` bounds the questions of one task at one length."""

    def __init__(self, base_length: int, most: int) -> None:
        self._base = base_length
        self._most = most
        self._asked: Counter[tuple[str, int, int]] = Counter()
        self._right: Counter[tuple[str, int, int]] = Counter()

    def add(self, length: int, question: Question, *, right: bool) -> None:
        key = (question.task, length, question.depth)
        self._asked[key] += 1
        self._right[key] += right

    def is_open(self, task: str, length: int) -> bool:
        """Whether another block of questions (one on each depth) can still tell something."""
        n, _ = self._count(task, length)
        if n + len(DEPTHS) > self._most:
            return False
        if length == self._base:
            return True
        return self._why_not(task) is None and self._verdict(task, length) == "unresolved"

    def part(self) -> EffectivePart | None:
        """None where nothing was asked yet."""
        lengths = sorted({length for _, length, _ in self._asked})
        if not lengths or lengths[0] != self._base:
            return None
        cells = [
            Cell(task=task, length=length, depth=depth, n=self._asked[key], right=self._right[key])
            for task in TASKS
            for length in lengths
            for depth in DEPTHS
            if (key := (task, length, depth)) in self._asked
        ]
        return EffectivePart(cells=cells, tasks=[self._task(task, lengths[1:]) for task in TASKS])

    def _task(self, task: str, longer: list[int]) -> TaskScore:
        asked = [length for length in longer if self._count(task, length)[0]]
        return TaskScore(
            task=task,
            base=self._score(task, self._base),
            threshold=self._threshold(task),
            longer=[self._score(task, length) for length in asked],
            why_not=self._why_not(task),
        )

    def _score(self, task: str, length: int) -> LengthScore:
        n, right = self._count(task, length)
        low, high = wilson(right, n)
        verdict = self._verdict(task, length)
        return LengthScore(length=length, n=n, right=right, low=low, high=high, verdict=verdict)

    def _verdict(self, task: str, length: int) -> Verdict:
        n, right = self._count(task, length)
        return judge(right, n, self._threshold(task))

    def _threshold(self, task: str) -> float:
        n, right = self._count(task, self._base)
        return THRESHOLD * right / n if n else 0.0

    def _why_not(self, task: str) -> str | None:
        n, right = self._count(task, self._base)
        if n and right < MIN_BASE * n:
            return f"{right} of {n} right in a text of {self._base} tokens: too few to tell what length does to it"
        return None

    def _count(self, task: str, length: int) -> tuple[int, int]:
        keys = [(task, length, depth) for depth in DEPTHS]
        return sum(self._asked[key] for key in keys), sum(self._right[key] for key in keys)
