"""llama.cpp alone: reading prompts, and generating at a depth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.roofline.arithmetic import step_bytes
from bench.roofline.peaks import Peaks
from core.gguf import GgufHeader
from core.llama.bare import BareLoop

ROUNDS = 5
STEPS = 8


@pytest.mark.parametrize("length", [32, 128, 512])
@pytest.mark.benchmark(group="prefill")
def test_prefill(
    benchmark: BenchmarkFixture, loop: BareLoop, tokens_of: Callable[[int], list[int]], length: int
) -> None:
    prompt = tokens_of(length)
    benchmark.extra_info.update(n_tokens=length)
    benchmark.pedantic(loop.prefill, args=([prompt],), rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize("depth", [16, 256, 1024])
@pytest.mark.benchmark(group="decode")
def test_decode(
    benchmark: BenchmarkFixture,
    loop: BareLoop,
    header: GgufHeader,
    peaks: Peaks | None,
    tokens_of: Callable[[int], list[int]],
    depth: int,
) -> None:
    loop.prefill([tokens_of(depth)])
    benchmark.extra_info.update(n_tokens=STEPS, depth=depth)
    if peaks:
        needed = step_bytes(header, batch=1, depth=depth + STEPS / 2)
        benchmark.extra_info.update(step_bytes=needed, peak_bytes_s=peaks.read_bytes_s)

    def generate() -> None:
        for _ in range(STEPS):
            loop.step()

    benchmark.pedantic(generate, setup=lambda: loop.rewind(1, depth), rounds=ROUNDS, warmup_rounds=1)
