"""Loads come one after the other; what may go on beside them does."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.loader import Loaded, Loader
from tests.serving import fake_config
from tests.test_registry import FakeRunner


def loaded(loader: Loader, *names: str) -> dict[str, Future[Loaded]]:
    futures: dict[str, Future[Loaded]] = {name: Future() for name in names}
    for name, future in futures.items():
        loader.start(fake_config(name), future)
    return futures


def test_a_model_is_prepared_beside_the_load_before_it_and_loaded_after_it() -> None:
    prepared, order = threading.Event(), []

    def prepare(config: ModelConfig) -> None:
        if config.name == "b":
            prepared.set()

    def load(config: ModelConfig) -> Any:
        assert prepared.wait(5), "b is prepared while a is loaded"
        order.append(config.name)
        return FakeRunner(config)

    futures = loaded(Loader(load, prepare), "a", "b")
    assert [futures[name].result(5).config.name for name in "ab"] == order == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "message"), [(ModelUnusable("no gallery"), "no gallery"), (OSError("a bug"), "a cannot be loaded")]
)
def test_what_fails_in_preparation_is_that_models_failure_alone(error: Exception, message: str) -> None:
    def prepare(config: ModelConfig) -> None:
        if config.name == "a":
            raise error

    futures = loaded(Loader(FakeRunner, prepare), "a", "b")
    with pytest.raises(ModelUnusable, match=message):
        futures["a"].result(5)
    assert futures["b"].result(5).config.name == "b"
