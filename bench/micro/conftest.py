"""Which model is measured, and what the hooks of pytest-benchmark add: the host, tokens per second, bandwidth use.

Without `--model` only what needs none is measured. Models are loaded once, with the settings they are served with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.deployment import Deployment, read_config, read_deployment
from bench.environment import read_environment
from bench.roofline.peaks import Peaks, measure_peaks
from bench.stats import median_or_none
from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.gguf import GgufHeader, read_header
from core.host import available_cpus


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("warmfn")
    group.addoption("--models", type=Path, help="the models folder")
    group.addoption("--model", help="the name of the model to measure")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["warmfn"] = read_environment().model_dump()


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Rates are medians over the rounds: `tok_s` = n_tokens / seconds, `mbu` = tok_s x step_bytes / peak_bytes_s."""
    for found in output_json["benchmarks"]:
        extra = found["extra_info"]
        if n_tokens := extra.get("n_tokens"):
            extra["tok_s"] = median_or_none([n_tokens / seconds for seconds in found["stats"]["data"]])
            if step_bytes := extra.get("step_bytes"):
                extra["mbu"] = extra["tok_s"] * step_bytes / extra["peak_bytes_s"]


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config) -> ModelConfig:
    name, models = pytestconfig.getoption("--model"), pytestconfig.getoption("--models")
    if not (name and models):
        pytest.skip("needs a model: give --models and --model")
    return read_config(models, name)


@pytest.fixture(scope="session")
def deployment(config: ModelConfig) -> Deployment:
    if check_weights(config) != "llama-text":
        pytest.skip(f"{config.name} is no GGUF that writes text")
    return read_deployment(config.root, config.name)


@pytest.fixture(scope="session")
def header(deployment: Deployment) -> GgufHeader:
    return read_header(Path(deployment.weights))


@pytest.fixture(scope="session")
def peaks(pytestconfig: pytest.Config, deployment: Deployment) -> Peaks | None:
    """Not measured where nothing is timed."""
    return None if pytestconfig.getoption("benchmark_disable") else measure_peaks(available_cpus())


@pytest.fixture(scope="session")
def text_model(config: ModelConfig, deployment: Deployment) -> Iterator[Any]:
    from core.llama.model import open_model

    model = open_model(config)
    yield model
    model.close()


@pytest.fixture(scope="session")
def loop(config: ModelConfig, text_model: Any) -> Iterator[Any]:
    """llama.cpp's bare loop in the context that would be served."""
    from core.llama.bare import BareLoop
    from core.runners.gpu import free_for_cache
    from core.runners.planning import context_settings, plan_limits

    limits = plan_limits(config, text_model, free_for_cache(text_model))
    loop = BareLoop(text_model, context_settings(config, text_model, limits))
    loop.run([[1] * 8], 2)  # pages the weights in
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def tokens_of(deployment: Deployment, text_model: Any) -> Callable[[int], list[int]]:
    """A prompt of so many tokens; skips where it does not fit into the context with room for some more."""

    def tokens(count: int) -> list[int]:
        if count + 32 > deployment.context_size:
            pytest.skip(f"{count} tokens do not fit into a context of {deployment.context_size}")
        return [3 + place % (text_model.num_vocab - 3) for place in range(count)]

    return tokens
