"""One measurement of what limits a context: memory, then every length from short to long, then what lies beyond.

Each text is read once and timed, then asked about again and again: a server that keeps prefixes answers without reading
it anew. Whatever ends the run, `part()` says what is known by then.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from bench.context.findings import Findings
from bench.context.haystack import Haystack, Question
from bench.context.latency import confirm, fit_ttft, value_at
from bench.context.lengths import choose_lengths
from bench.context.memory import Probe, Shape, measure_memory
from bench.context.overflow import probe_overflow
from bench.context.parts import ContextPart, Limit
from bench.context.reader import ANSWER_TOKENS, TIMED_TOKENS, PromptCut, PromptRefused, Reader
from bench.context.scores import Scores
from bench.context.server import server_facts
from bench.errors import BenchError
from bench.slo import Slo

QUESTIONS_FILE = "questions.jsonl"
ROOM = max(ANSWER_TOKENS, TIMED_TOKENS) + 24
"""Tokens kept free for a question and its answer."""
SPARE = 0.02
"""Part of the context by which a text may come out longer than planned."""
CLOSE = 1.05
"""A limit is found when the next length to try would be less than this times the last."""
TEXTS_EXPECTED = 2
"""Of each length until its score is decided."""
PASSWORD = "7391"
"""No fact has fewer than five digits."""


@dataclass(frozen=True)
class Settings:
    """`texts` is the most of one length, `max_length` is in tokens."""

    slo: Slo
    texts: int
    max_length: int | None
    quick: bool
    seed: int


@dataclass(frozen=True)
class LocalModel:
    """What is known of a model whose files are here; `budget` is the memory it may take, in bytes."""

    shape: Shape
    probe: Probe
    budget: int


@dataclass(frozen=True)
class Watcher:
    """`on_plan` is told what will be done and in about how many prompt tokens, before it is; `on_progress` what happens
    now, and by how many prompt tokens the run has advanced."""

    on_plan: Callable[[str, int], None]
    on_progress: Callable[[str, int], None]


class ContextRun:
    def __init__(self, settings: Settings, out: Path, run_id: str, watcher: Watcher) -> None:
        self.complete = False
        self._settings = settings
        self._out = out
        self._run_id = run_id
        self._watcher = watcher
        self._found = Findings(settings.slo, settings.seed)
        self._planned: list[int] = []
        self._texts = min(settings.texts, TEXTS_EXPECTED)
        self._started = time.perf_counter()

    def part(self) -> ContextPart:
        return self._found.part(time.perf_counter() - self._started)

    async def measure_memory(self, model: LocalModel, wanted: int) -> None:
        """Before a server takes its share. `wanted` is the context that it is set to."""
        found, trained = self._found, model.shape.header.context_length
        found.advertised = Limit(tokens=trained, why="context_length in the GGUF, what the model was trained for")
        self._watcher.on_progress("memory: loading contexts, one process each", 0)
        try:
            found.memory = await measure_memory(model.shape, model.budget, [wanted, trained or wanted], model.probe)
        except BenchError as error:
            found.why_no_memory = error.message

    async def measure_server(self, base_url: str, model: str, api_key: str | None = None) -> None:
        """Raises BenchError where it cannot be measured at all."""
        facts = await server_facts(base_url, model, api_key)
        self._found.note(facts)
        top = self._top(facts.configured)
        self._planned = choose_lengths(top, quick=self._settings.quick)
        reader = Reader(base_url, model, facts.kind, self._run_id, self._settings.seed, api_key)
        try:
            await self._measure(reader)
        finally:
            await reader.close()
        self.complete = True

    def _top(self, configured: int | None) -> int:
        """The longest prompt that leaves room for an answer."""
        wanted = self._settings.max_length
        if configured is None:
            if wanted is None:
                raise BenchError("the server does not tell its context: say how far to go with --max-length")
            return wanted
        room = _room(configured)
        return min(room, wanted or room)

    async def _measure(self, reader: Reader) -> None:
        self._announce(await reader.calibrate())
        await self._go_through(reader)
        await self._confirm_latency(reader)
        if limit := self._found.configured.tokens:
            self._watcher.on_progress("more than fits", 0)
            self._found.overflow = await probe_overflow(reader, limit, PASSWORD)

    def _announce(self, tokens_per_second: float) -> None:
        tokens = sum(self._planned) * self._texts
        self._watcher.on_plan(
            f"lengths {', '.join(f'{length:,}' for length in self._planned)}; about {tokens:,} prompt tokens, at least "
            f"{tokens / tokens_per_second / 60:.1f} minutes at the {tokens_per_second:,.0f} tokens/s of a short prompt;"
            " longer ones are slower",
            tokens,
        )

    async def _go_through(self, reader: Reader) -> None:
        """Every length, as far as the server goes along; where it does not, its limit is closed in on."""
        found, pending = self._found, list(self._planned)
        told, refused, why = found.configured.tokens, None, ""
        while pending:
            length = pending.pop(0)
            try:
                await self._examine(reader, length)
                found.lengths.append(length)
            except PromptCut as error:
                found.note_configured(error.counted, error.message)
                pending = [instead] if found.longest * CLOSE < (instead := _room(error.counted)) < length else []
            except PromptRefused as error:
                refused, why, pending = length, error.message, []
            if refused and not pending:
                if told is None or refused < told * (1 - 2 * SPARE):
                    found.note_configured(found.longest, why)
                read = max(found.lengths, default=found.longest)
                pending = [(read + refused) // 2] if refused > read * CLOSE else []

    async def _examine(self, reader: Reader, length: int) -> None:
        """Text after text until the score is decided; the first is timed and asked about in any case."""
        found = self._found
        found.scores = scores = found.scores or Scores(length, self._settings.texts)
        for number in itertools.count():
            stack = reader.haystack(length, number)
            timing = await reader.time_haystack(stack, length)
            found.timings.append(timing)
            self._watcher.on_progress(f"{length:,} tokens, text {number + 1}{self._left(length)}", timing.tokens)
            scores.add_text(length, await self._answers(reader, stack, length, scores.tasks_at(length)))
            if not scores.is_open(length):
                return

    def _left(self, length: int) -> str:
        """How long the texts of greater lengths will take to read, by the fit so far."""
        fitted = fit_ttft(self._found.timings)
        if fitted is None:
            return ""
        milliseconds = sum(value_at(fitted, longer) for longer in self._planned if longer > length)
        return f", then about {milliseconds * self._texts / 6e4:.1f} min to read longer ones"

    async def _answers(
        self, reader: Reader, stack: Haystack, length: int, tasks: Collection[str]
    ) -> list[tuple[Question, bool]]:
        """Each question on these tasks, and whether it was answered rightly."""
        answers = []
        for question in (question for question in stack.questions if question.task in tasks):
            answer = await reader.ask_about(stack, question, length)
            right = question.is_answered_by(answer.text)
            self._write(length, question, answer.text, right)
            answers.append((question, right))
            if answer.cached is not None:
                self._found.reuses_prefixes = answer.cached > length / 2
        return answers

    def _write(self, length: int, question: Question, text: str, right: bool) -> None:
        line = {"length": length, "task": question.task, "depth": question.depth, "question": question.words}
        with (self._out / QUESTIONS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"expected": question.answer, "answer": text, "right": right}) + "\n")

    async def _confirm_latency(self, reader: Reader) -> None:
        found, part = self._found, self._found.latency
        if part and part.predicted is not None:
            self._watcher.on_progress(f"latency at {part.predicted:,} tokens", 0)
            found.confirmed, found.confirmations = await confirm(
                part.predicted, part.slo, reader.time_plain, longest=found.longest
            )


def _room(context: int) -> int:
    """The longest text to plan for."""
    return int(context * (1 - SPARE)) - ROOM
