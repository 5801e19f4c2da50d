"""How well a model answers from texts of each length, against its own answers from a short one.

The tasks are scored together, as RULER and NoLiMa average over theirs, and each has as many questions. A task that the
model cannot do in a short text either says nothing about length and does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bench.context.haystack import CHANCE, DEPTHS, TASKS, Question
from bench.context.parts import Cell, EffectivePart, LengthScore, Score, TaskScore, Verdict
from bench.context.sequential import THRESHOLD, Share, judge, kept
from bench.stats import stratified, wilson


class Scores:
    """`base_length` is that of the short text, `max_texts` the most of one length."""

    def __init__(self, base_length: int, max_texts: int) -> None:
        self._base = base_length
        self._max_texts = max_texts
        self._texts: Counter[int] = Counter()
        self._asked: Counter[tuple[str, int, int]] = Counter()
        self._right: Counter[tuple[str, int, int]] = Counter()

    def add_text(self, length: int, answers: Iterable[tuple[Question, bool]]) -> None:
        """Every question of one text, and whether it was answered rightly."""
        self._texts[length] += 1
        for question, right in answers:
            key = (question.task, length, question.depth)
            self._asked[key] += 1
            self._right[key] += right

    def tasks_at(self, length: int) -> list[str]:
        """What is worth asking there."""
        return [task for task in TASKS if length == self._base or self._counts(task)]

    def is_open(self, length: int) -> bool:
        """Whether another text of that length can still tell something: beyond a length that fails none can."""
        if self._texts[length] >= self._max_texts:
            return False
        if length == self._base:
            return True
        shorter = [other for other in self._longer() if other < length]
        failed = any(self._verdict(other) == "fails" for other in shorter)
        return length in self._longer() and self._verdict(length) == "unresolved" and not failed

    def part(self) -> EffectivePart | None:
        """None where nothing was asked yet."""
        if not self._texts:
            return None
        cells = [
            Cell(task=task, length=length, depth=depth, n=self._asked[key], right=self._right[key])
            for task in TASKS
            for length in sorted(self._texts)
            for depth in DEPTHS
            if (key := (task, length, depth)) in self._asked
        ]
        right, n = self._counted(self._base)
        return EffectivePart(
            threshold=THRESHOLD,
            max_texts=self._max_texts,
            tasks=[self._task(task) for task in TASKS],
            base=Score(length=self._base, texts=self._texts[self._base], n=n, right=right),
            longer=[self._score(length) for length in self._longer()],
            cells=cells,
        )

    def _longer(self) -> list[int]:
        """Of which something was asked."""
        return sorted(length for length in self._texts if length != self._base and self._counted(length)[1])

    def _score(self, length: int) -> LengthScore:
        right, n = self._counted(length)
        low, high = kept(self._share(length), self._share(self._base), self._max_texts)
        return LengthScore(
            length=length,
            texts=self._texts[length],
            n=n,
            right=right,
            kept_low=low,
            kept_high=high,
            verdict=self._verdict(length),
        )

    def _verdict(self, length: int) -> Verdict:
        return judge(self._share(length), self._share(self._base), self._max_texts)

    def _task(self, task: str) -> TaskScore:
        right, n = self._count(task, self._base)
        return TaskScore(task=task, n=n, right=right, chance=CHANCE, counts=self._counts(task))

    def _counts(self, task: str) -> bool:
        """A lower bound above chance is all that is asked of a task: how much it falls is for the interval to tell."""
        return wilson(*self._count(task, self._base))[0] > CHANCE

    def _share(self, length: int) -> Share:
        """As the interval takes it: what differs between tasks does not widen it."""
        return stratified([self._count(task, length) for task in TASKS if self._counts(task)])

    def _counted(self, length: int) -> tuple[int, int]:
        """Of the tasks that count."""
        counts = [self._count(task, length) for task in TASKS if self._counts(task)]
        return sum(right for right, _ in counts), sum(n for _, n in counts)

    def _count(self, task: str, length: int) -> tuple[int, int]:
        keys = [(task, length, depth) for depth in DEPTHS]
        return sum(self._right[key] for key in keys), sum(self._asked[key] for key in keys)
