"""From nothing to a warm model: a new process each time. The weights lie in the page cache after the first."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from core.config.model import ModelConfig

ROUNDS = 3


@pytest.mark.benchmark(group="cold start")
def test_cold_start(benchmark: BenchmarkFixture, config: ModelConfig) -> None:
    command = [sys.executable, "-m", "bench.micro.cold", str(config.root), config.name]

    def start() -> None:
        subprocess.run(command, check=True, capture_output=True)

    benchmark.pedantic(start, rounds=ROUNDS, warmup_rounds=1)
