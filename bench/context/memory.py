"""How long a context memory allows: predicted from the header, then loaded and measured.

predicted(n) = fixed + kv cache(n) + compute(n), where `fixed` (weights, libraries, interpreter) is what a process with
the smallest context was measured to hold, less the other two. The cache is exact (`core.gguf.kv_cache`); the compute
buffers are bounded from above (`core.gguf.footprint`), so a prediction errs on the safe side.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.context.parts import MemoryCurve, MemoryPart, MemoryPoint
from bench.errors import BenchError
from core.config.defaults import DEFAULT_SLOTS
from core.config.model import ModelConfig, needs_flash_attention
from core.engine.draft import MAX_DRAFTED
from core.errors import ModelUnusable
from core.gguf import GgufHeader, read_header
from core.gguf.footprint import Work, compute_bytes
from core.gguf.kv_cache import CELL_PADDING, KvLayout, cells_that_fit, kv_bytes_per_token, kv_cache_bytes
from core.llama.attention import flash_attention
from core.runners.planning import rows_of_pass

MARGIN = 0.05
"""Of the budget, for what else a server does while it answers."""
LONGEST = 1 << 22
"""Tokens; no prediction goes further."""
CACHE_TYPES = ("F16", "Q8_0", "Q4_0")
MAX_LOADS = 6
CURVE_POINTS = 8

Probe = Callable[[int], Awaitable[int]]
"""Loads a context of so many tokens and tells the bytes its process held. Raises BenchError where it does not load."""


@dataclass(frozen=True)
class Shape:
    """How a server lays out this model's cache and passes. `unified` is one pool that a single request may fill, which
    is what ours falls back to where memory is short; else each of the slots has a cache of the whole length."""

    header: GgufHeader
    slots: int
    holders: int
    unified: bool
    flash_attention: bool
    key_type: str = "F16"
    value_type: str = "F16"
    full_window: bool = True

    def bytes_at(self, context: int, *, requests: int = 1) -> int:
        """Cache and compute buffers for `requests` at once of so many tokens each; a server whose slots have a cache
        of their own needs all of them for a single one."""
        seqs = self.slots + self.holders
        cells = context * (requests if self.unified else seqs)
        uses_flash = self.flash_attention or needs_flash_attention(self.value_type)
        rows = min(rows_of_pass("on" if uses_flash else "off", self.header.num_heads or 1, context), cells)
        layout = KvLayout(
            cells=cells,
            seqs=seqs,
            unified=self.unified,
            flash_attention=uses_flash,
            key_type=self.key_type,
            value_type=self.value_type,
            rows=rows,
            full_window=self.full_window,
        )
        attended = layout.cells if self.unified else context
        work = Work(attended, rows, outputs=seqs + MAX_DRAFTED, flash_attention=uses_flash)
        return kv_cache_bytes(self.header, layout) + compute_bytes(self.header, work)

    def bytes_per_token(self) -> int:
        return kv_bytes_per_token(self.header, self.key_type, self.value_type)


def shape_of(config: ModelConfig) -> Shape:
    unified = config.kv != "split"
    slots = config.slots or DEFAULT_SLOTS
    return Shape(
        header=read_header(config.weights),
        slots=slots,
        holders=config.holders if config.holders is not None else slots if unified else 0,
        unified=unified,
        flash_attention=flash_attention(config.flash_attention) != "off",
        key_type=config.cache_types[0],
        value_type=config.cache_types[1],
        full_window=config.swa_full is not False,
    )


def longest_fitting(bytes_at: Callable[[int], int], room: int) -> int:
    """Tokens, a multiple of 256."""
    return cells_that_fit(bytes_at, room, most=LONGEST)


async def measure_memory(shape: Shape, budget: int, wanted: Sequence[int], probe: Probe) -> MemoryPart:
    """Load the smallest context, predict the longest, and verify at each of `wanted` that is shorter. If the longest is
    not beyond all of those it is verified too, in steps down where it does not load or holds more than the budget."""
    room = int(budget * (1 - MARGIN))
    fixed = await probe(CELL_PADDING) - shape.bytes_at(CELL_PADDING)
    limit = longest_fitting(lambda n: fixed + shape.bytes_at(n), room)
    points = [await _point(shape, fixed, n, probe) for n in sorted(set(wanted)) if CELL_PADDING < n < limit]
    if limit <= max(wanted):
        points += await _verified(shape, fixed, limit, room, probe)
        limit = points[-1].context if _fits(points[-1], room) else 0
    shown = _contexts(min(limit, 2 * max(wanted)) or max(wanted))
    return MemoryPart(
        budget_bytes=budget,
        margin=MARGIN,
        fixed_bytes=fixed,
        slots=shape.slots,
        unified=shape.unified,
        tokens=limit,
        tokens_each_slot=longest_fitting(lambda n: fixed + shape.bytes_at(n, requests=shape.slots), room),
        contexts=shown,
        curves=[_curve(each, fixed, room, shown) for each in _of_other_types(shape)],
        points=points,
    )


async def _verified(shape: Shape, fixed: int, top: int, room: int, probe: Probe) -> list[MemoryPoint]:
    """Ends with a point that fits, or after MAX_LOADS with one that does not."""
    points: list[MemoryPoint] = []
    while len(points) < MAX_LOADS:
        points.append(await _point(shape, fixed, top, probe))
        if _fits(points[-1], room) or top <= CELL_PADDING:
            break
        top = max(CELL_PADDING, int(top * 0.9) // CELL_PADDING * CELL_PADDING)
    return points


async def _point(shape: Shape, fixed: int, context: int, probe: Probe) -> MemoryPoint:
    predicted = fixed + shape.bytes_at(context)
    try:
        return MemoryPoint(context=context, predicted_bytes=predicted, measured_bytes=await probe(context))
    except BenchError as error:
        return MemoryPoint(context=context, predicted_bytes=predicted, measured_bytes=None, error=error.message)


def _fits(point: MemoryPoint, room: int) -> bool:
    return point.measured_bytes is not None and point.measured_bytes <= room


def _contexts(top: int) -> list[int]:
    return sorted(
        {max(1, round(top * k / CURVE_POINTS / CELL_PADDING)) * CELL_PADDING for k in range(CURVE_POINTS + 1)}
    )


def _of_other_types(shape: Shape) -> Iterator[Shape]:
    """The shape itself, then with keys and values of one of CACHE_TYPES, as far as this model can have such a cache."""
    own = (shape.key_type, shape.value_type)
    for key_type, value_type in dict.fromkeys([own, *((name, name) for name in CACHE_TYPES)]):
        other = replace(shape, key_type=key_type, value_type=value_type)
        with contextlib.suppress(ModelUnusable):
            if other.bytes_at(CELL_PADDING) and other.bytes_per_token():
                yield other


def _curve(shape: Shape, fixed: int, room: int, contexts: Sequence[int]) -> MemoryCurve:
    return MemoryCurve(
        cache_type=" and ".join(dict.fromkeys((shape.key_type, shape.value_type))),
        bytes_per_token=shape.bytes_per_token(),
        predicted_bytes=[fixed + shape.bytes_at(n) for n in contexts],
        tokens=longest_fitting(lambda n: fixed + shape.bytes_at(n), room),
    )
