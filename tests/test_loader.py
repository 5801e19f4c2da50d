"""Loads come one after the other; what may go on beside them does."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from core import coldstart
from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.loader import Loaded, Loader
from tests.serving import fake_config
from tests.test_registry import FakeRunner


def loaded(loader: Loader, *names: str) -> dict[str, Future[Loaded]]:
    futures: dict[str, Future[Loaded]] = {name: Future() for name in names}
    for name, future in futures.items():
        loader.start(fake_config(name), future, coldstart.asked())
    return futures


def test_a_model_is_prepared_beside_the_load_before_it_and_loaded_after_it() -> None:
    loading, prepared, order = threading.Event(), threading.Event(), []

    def prepare(config: ModelConfig) -> None:
        if config.name == "b":
            assert loading.wait(5)
            prepared.set()

    def load(config: ModelConfig) -> Any:
        loading.set()
        assert prepared.wait(5), "b is prepared while a is loaded"
        order.append(config.name)
        return FakeRunner(config)

    futures = loaded(Loader(load, prepare), "a", "b")
    assert [futures[name].result(5).config.name for name in "ab"] == order == ["a", "b"]


def test_a_model_that_is_being_prepared_holds_up_no_other() -> None:
    is_there = threading.Event()

    def prepare(config: ModelConfig) -> None:
        if config.name == "a":
            assert is_there.wait(5)

    futures = loaded(Loader(FakeRunner, prepare), "a", "b")
    assert futures["b"].result(5).config.name == "b"
    assert not futures["a"].done()
    is_there.set()
    assert futures["a"].result(5).config.name == "a"


def test_a_load_begins_when_the_thread_of_the_one_before_has_ended() -> None:
    threads: list[threading.Thread] = []

    def load(config: ModelConfig) -> Any:
        assert not any(thread.is_alive() for thread in threads)
        threads.append(threading.current_thread())
        return FakeRunner(config)

    futures = loaded(Loader(load, lambda config: None), *"abcd")
    assert {futures[name].result(5).config.name for name in "abcd"} == set("abcd")
    assert len(set(threads)) == 4


def test_a_fallback_is_loaded_before_those_that_wait() -> None:
    loading, waiting, order = threading.Event(), threading.Event(), []

    def prepare(config: ModelConfig) -> None:
        if config.name == "b":
            assert loading.wait(5)
            waiting.set()

    def load(config: ModelConfig) -> Any:
        loading.set()
        assert waiting.wait(5)
        order.append((config.name, config.context_size))
        if config.context_size == 13:
            raise ModelUnusable("13 is too much")
        return FakeRunner(config)

    loader, futures = Loader(load, prepare), (Future[Loaded](), Future[Loaded]())
    fallback = fake_config("a", context_size=10)
    loader.start(fake_config("a", context_size=13), futures[0], coldstart.asked(), fallback=fallback)
    loader.start(fake_config("b", context_size=10), futures[1], coldstart.asked())
    assert "13 is too much" in (futures[0].result(5).complaint or "")
    assert futures[1].result(5).complaint is None
    assert order == [("a", 13), ("a", 10), ("b", 10)]


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
