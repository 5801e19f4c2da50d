"""The speeds of one model on this host, in this process, by llama.cpp's bare loop: about a minute for a small model.

What is to be compared is measured in turns, round after round, so that a passing neighbour disturbs all of it alike;
medians of the rounds count.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.limits.result import BatchRate, LimitsPart, ThreadRate
from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.host import available_cpus
from core.limits import Decode, MeasuredLimits, Prefill
from core.packs.fingerprint import fingerprint

if TYPE_CHECKING:
    from core.llama.bare import BareLoop
    from core.llama.model import LlamaModel
    from core.runners.text_limits import Limits

ROUNDS = 3
SWEEP_PROMPT = 512
"""Tokens of the prompt that threads and batches are compared with. In longer ones the scheduler makes batches smaller
with the depth, so that attention stays in the cache: that is not the batch's merit."""
BATCHES = (64, 128, 256)
"""Rows, beside the number that is served by default."""
LENGTHS = (128, 512, 2048)
SHALLOW, DEEP = 16, 1024
STEPS = 12
"""Tokens generated in one measurement."""
TIE = 0.97
"""Of the best rate: what reaches it is as good, and the first such choice is taken."""

OnStep = Callable[[str], None]


def measure_limits(config: ModelConfig, on_step: OnStep, *, usable_context: int | None = None) -> LimitsPart:
    """`usable_context` is known from elsewhere. Raises BenchError where llama.cpp does not write text with it."""
    if check_weights(config) != "llama-text":
        raise BenchError(f"{config.name} does not write text with llama.cpp: there are no limits to measure")
    from core.llama.model import open_model
    from core.runners.gpu import free_for_cache
    from core.runners.planning import plan_limits

    model = open_model(config)
    try:
        limits = plan_limits(config, model, free_for_cache(model))
        return Measuring(config, model, limits, on_step).part(usable_context)
    finally:
        model.close()


class Measuring:
    """`limits` are those that the config is served with; a context is made as small as its measurement allows."""

    def __init__(self, config: ModelConfig, model: LlamaModel, limits: Limits, on_step: OnStep) -> None:
        from core.runners.planning import context_settings, kv_form

        self._model, self._limits, self._on_step = model, limits, on_step
        self._kv_form = kv_form(config, model)
        self._settings = context_settings(config, model, limits)
        self._longest = limits.context_size - STEPS

    def part(self, usable_context: int | None) -> LimitsPart:
        from core.runners.text_llama import host

        threads = self._sweep_threads()
        single = first_best([(rate.threads, rate.decode_tok_s) for rate in threads])
        batched = first_best([(rate.threads, rate.prefill_tok_s) for rate in threads])
        self._settings = dataclasses.replace(self._settings, threads=single, threads_batch=batched)
        batches = self._sweep_batches()
        batch = first_best([(rate.batch, rate.prefill_tok_s) for rate in reversed(batches)])
        self._settings = dataclasses.replace(self._settings, max_batch=batch)
        limits = MeasuredLimits(
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
            host=host(),
            model=fingerprint(self._model.path),
            context_size=self._limits.context_size,
            usable_context=usable_context,
            kv=self._limits.kv,
            kv_form=self._kv_form,
            threads=single,
            threads_batch=batched,
            batch=batch,
            prefill=self._prefill(),
            decode=self._decode(),
            step_seconds=self._step_seconds(),
        )
        return LimitsPart(
            file=None,
            limits=limits,
            threads=threads,
            batches=batches,
            slots=self._limits.slots,
            kv_bytes_per_token=self._model.kv_bytes_per_token(self._settings.cache_type_k, self._settings.cache_type_v),
            weight_bytes=self._model.path.stat().st_size,
            context_train=self._model.context_train,
        )

    def _sweep_threads(self) -> list[ThreadRate]:
        """Fewer first, so that they win a tie: a thread that gains nothing disturbs others."""
        from core.llama.threads import ladder

        prompt = self._prompt(min(SWEEP_PROMPT, self._longest))
        found: dict[int, list[tuple[float, float]]] = {count: [] for count in reversed(ladder(available_cpus()))}
        for number in range(ROUNDS):
            for count, rates in found.items():
                self._on_step(f"{count} threads, round {number + 1} of {ROUNDS}")
                with self._loop(1, len(prompt), threads=count, threads_batch=count) as loop:
                    rates.append(_rates(loop, prompt))
        return [
            ThreadRate(
                threads=count, prefill_tok_s=median(p for p, _ in rates), decode_tok_s=median(d for _, d in rates)
            )
            for count, rates in found.items()
        ]

    def _sweep_batches(self) -> list[BatchRate]:
        """The default last, so that it wins a tie."""
        default = self._limits.max_batch
        prompt = self._prompt(min(SWEEP_PROMPT, self._longest))
        sizes = [*(size for size in BATCHES if size < default), default]
        found: dict[int, list[float]] = {size: [] for size in sizes}
        for number in range(ROUNDS):
            for size, rates in found.items():
                self._on_step(f"batches of {size} rows, round {number + 1} of {ROUNDS}")
                with self._loop(1, len(prompt), max_batch=size) as loop:
                    rates.append(_prefill_rate(loop, prompt))
        return [BatchRate(batch=size, prefill_tok_s=median(rates)) for size, rates in found.items()]

    def _prefill(self) -> tuple[Prefill, ...]:
        lengths = [length for length in LENGTHS if length <= self._longest] or [self._longest]
        found = []
        with self._loop(1, max(lengths)) as loop:
            for length in lengths:
                self._on_step(f"a prompt of {length} tokens")
                prompt = self._prompt(length)
                tok_s = median(_prefill_rate(loop, prompt) for _ in range(ROUNDS))
                found.append(Prefill(length=length, tok_s=tok_s))
        return tuple(found)

    def _decode(self) -> tuple[Decode, ...]:
        """All slots, then fewer and fewer of them: what was read for many is there for few."""
        batches = [2**power for power in range(self._limits.slots.bit_length()) if 2**power < self._limits.slots]
        batches = sorted({*batches, self._limits.slots}, reverse=True)
        found = []
        for depth in sorted({min(SHALLOW, self._longest), min(DEEP, self._longest // 2)}):
            with self._loop(self._limits.slots, depth) as loop:
                for batch in batches:
                    self._on_step(f"{batch} sequences of {depth} tokens")
                    tok_s = self._decode_rate(loop, batch, depth)
                    found.append(Decode(batch=batch, depth=depth, tok_s=tok_s))
        return tuple(found)

    def _decode_rate(self, loop: BareLoop, batch: int, depth: int) -> float:
        """Of all sequences together; the median step."""
        if batch == self._limits.slots or not self._model.can_cut_memory:
            loop.prefill([self._prompt(depth)] * batch)
        else:
            loop.rewind(batch, depth)
        return batch / median(_seconds(loop.step) for _ in range(STEPS))

    def _step_seconds(self) -> dict[int, float] | None:
        from core.engine.step_cost import measure_step_cost
        from core.llama.context import LlamaContext

        if not self._limits.max_drafted:
            return None
        self._on_step("decode calls of several rows")
        context = LlamaContext(self._model, self._settings)
        try:
            unified = self._limits.kv == "unified"
            cost = measure_step_cost(context, max_rows=1 + self._limits.max_drafted, unified=unified)
            return {rows: cost.seconds([rows]) for rows in cost.measured}
        finally:
            context.free()

    def _prompt(self, length: int) -> list[int]:
        return [3 + place % (self._model.num_vocab - 3) for place in range(length)]

    @contextmanager
    def _loop(self, sequences: int, depth: int, **settings: Any) -> Iterator[BareLoop]:
        """With room for `sequences` of `depth` tokens and a few steps more, warmed up."""
        from core.llama.bare import BareLoop

        cells = sequences * (depth + 2 * STEPS)
        own = dataclasses.replace(self._settings, num_cells=cells, num_seqs=sequences, **settings)
        loop = BareLoop(self._model, own)
        try:
            loop.run([self._prompt(8)], 2)
            yield loop
        finally:
            loop.close()


def first_best(choices: Sequence[tuple[int, float]]) -> int:
    """The first of (choice, rate) whose rate is as good as the best."""
    best = max(rate for _, rate in choices)
    return next(choice for choice, rate in choices if rate >= TIE * best)


def _prefill_rate(loop: BareLoop, prompt: Sequence[int]) -> float:
    return len(prompt) / _seconds(lambda: loop.prefill([prompt]))


def _rates(loop: BareLoop, prompt: Sequence[int]) -> tuple[float, float]:
    """Tokens per second of the prompt, and of one sequence after it (the median step)."""
    return _prefill_rate(loop, prompt), 1 / median(_seconds(loop.step) for _ in range(STEPS))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
