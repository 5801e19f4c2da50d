"""How long a context memory holds: predicted from the header, verified by loading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.context.memory import MARGIN, Shape, measure_memory
from bench.errors import BenchError
from core.gguf.kv_cache import kv_bytes_per_token
from tests.test_gguf_kv_cache import header

MIB = 2**20
SMOLLM2 = Shape(header(), slots=2, holders=2, unified=True, flash_attention=True)


def remembered(budget: int, wanted: list[int], held: Callable[[int], int]) -> tuple[list[int], int, int]:
    """(contexts that were loaded, tokens, tokens for each slot)."""
    loaded = []

    async def probe(context: int) -> int:
        loaded.append(context)
        return held(context)

    part = asyncio.run(measure_memory(SMOLLM2, budget, wanted, probe))
    return loaded, part.tokens, part.tokens_each_slot


def exact(context: int) -> int:
    return 100 * MIB + SMOLLM2.bytes_at(context)


def test_the_longest_context_fills_the_budget_less_the_margin() -> None:
    budget = 1000 * MIB
    loaded, tokens, each = remembered(budget, [8192, 65536], exact)
    assert exact(tokens) <= budget * (1 - MARGIN) < exact(tokens + 256)
    assert loaded == [256, 8192, tokens], "it is verified, and nothing that is predicted not to fit is loaded"
    assert each == pytest.approx(tokens / 2, abs=256)


def test_a_limit_beyond_what_is_wanted_is_not_loaded() -> None:
    loaded, tokens, _ = remembered(10_000 * MIB, [8192], exact)
    assert loaded == [256, 8192]
    assert tokens > 100_000


def test_a_context_that_holds_more_than_predicted_is_stepped_down_from() -> None:
    def greedy(context: int) -> int:
        return exact(context) + (200 * MIB if context > 20_000 else 0)

    budget = 1000 * MIB
    loaded, tokens, _ = remembered(budget, [65536], greedy)
    assert tokens == loaded[-1] < loaded[1]
    assert greedy(tokens) <= budget * (1 - MARGIN)


def test_a_context_that_does_not_load_is_kept_with_the_reason() -> None:
    async def probe(context: int) -> int:
        if context > 256:
            raise BenchError("killed")
        return exact(context)

    part = asyncio.run(measure_memory(SMOLLM2, 1000 * MIB, [65536], probe))
    assert part.tokens == 0
    assert {point.error for point in part.points} == {"killed"}


def test_a_cache_for_each_slot_holds_all_slots_for_one_request() -> None:
    split = Shape(header(), slots=4, holders=0, unified=False, flash_attention=True)
    pool = Shape(header(), slots=4, holders=0, unified=True, flash_attention=True)
    assert split.bytes_at(4096) == split.bytes_at(4096, requests=4)
    of_others = 3 * 4096 * kv_bytes_per_token(header())
    assert split.bytes_at(4096) - pool.bytes_at(4096) == of_others
    small, half = (replace(pool, key_type=name, value_type=name) for name in ("Q4_0", "Q8_0"))
    assert small.bytes_at(4096) < half.bytes_at(4096) < pool.bytes_at(4096)


def test_the_cache_of_the_yaml_comes_first_and_others_as_far_as_the_model_can_have_them() -> None:
    def curves(**facts: Any) -> list[tuple[str, int]]:
        shape = replace(SMOLLM2, **facts)
        part = asyncio.run(measure_memory(shape, 1000 * MIB, [512], _of(shape)))
        return [(curve.cache_type, curve.bytes_per_token) for curve in part.curves]

    f16, q8_0, q4_0 = ("F16", 23040), ("Q8_0", 12240), ("Q4_0", 6480)
    assert curves() == [f16, q8_0, q4_0]
    assert curves(value_type="Q4_0") == [("F16 and Q4_0", (f16[1] + q4_0[1]) // 2), f16, q8_0, q4_0]
    of_phi = header(attention__key_length=80, attention__value_length=80, attention__head_count_kv=32)
    assert [name for name, _ in curves(header=of_phi)] == ["F16"], "its heads are no whole blocks"


def _of(shape: Shape) -> Callable[[int], Any]:
    async def probe(context: int) -> int:
        return shape.bytes_at(context)

    return probe


@pytest.mark.weights
def test_memory_is_predicted_to_three_percent_on_real_weights(models_folder: Path) -> None:
    from bench.context.memory import shape_of
    from bench.context.probing import probe_of
    from bench.deployment import read_deployment
    from core.config.folder import read_folder

    name = "smollm2-135m-instruct"
    shape = shape_of(read_folder(models_folder).configs[name])
    probe = probe_of(read_deployment(models_folder, name), unified=True)
    part = asyncio.run(measure_memory(shape, 3 << 30, [4096], probe))
    (point,) = part.points
    assert point.measured_bytes == pytest.approx(point.predicted_bytes, rel=0.03)
