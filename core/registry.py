"""name -> warm runner: each model is loaded once, however many ask, and stays until `close`."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.errors import CoreError, ModelLoading, ModelUnusable, ShuttingDown, UnknownModel

logger = logging.getLogger("warmfn.registry")

State = Literal["unloaded", "loading", "ready", "failed"]


class Runner(Protocol):
    """A loaded model."""

    @property
    def kind(self) -> Literal["text", "embedding"]: ...

    @property
    def facts(self) -> dict[str, Any]:
        """Its limits and identity, for `/v1/models`."""

    def warm(self) -> None:
        """Compute a little, so that the first request finds everything ready."""

    def close(self) -> None:
        """Free everything; what is running ends with ShuttingDown."""


@dataclass(frozen=True)
class ModelStatus:
    state: State
    error: str | None = None
    runner: Runner | None = None


class Registry:
    """Loads one model at a time, since two loads at once would only slow each other down.

    `patience` is how many seconds a request waits for its model before it is told to come back.
    """

    def __init__(self, folder: ModelsFolder, load: Callable[[ModelConfig], Runner], *, patience: float = 30.0) -> None:
        self._folder = folder
        self._load = load
        self._patience = patience
        self._lock = threading.Lock()
        self._runners: dict[str, Future[Runner]] = {}
        self._last_load: threading.Thread | None = None
        self._closed = False

    def config(self, name: str) -> ModelConfig:
        """Raises UnknownModel, which tells what there is instead and which files could not be read."""
        if config := self._folder.configs.get(name):
            return config
        known = ", ".join(sorted(self._folder.configs)) or "none"
        problems = [str(problem) for problem in self._folder.problems if problem.severity == "error"]
        broken = f"; files that could not be read: {'; '.join(problems)}" if problems else ""
        raise UnknownModel(f"there is no model {name!r}; this server has: {known}{broken}", param="model")

    def preload(self, names: Iterable[str]) -> None:
        """Begin to load, in this order. Raises UnknownModel."""
        for name in names:
            self._order(name)

    def get(self, name: str) -> Runner:
        """The warm runner. Raises UnknownModel, ModelLoading, ShuttingDown, or what the load failed with."""
        future = self._order(name)
        try:
            return future.result(self._patience)
        except FutureTimeout:
            raise ModelLoading(f"{name} is still loading", retry_after=5) from None

    def status(self, name: str) -> ModelStatus:
        future = self._runners.get(name)
        if future is None:
            return ModelStatus("unloaded")
        if not future.done():
            return ModelStatus("loading")
        error = future.exception()
        return ModelStatus("failed", str(error)) if error else ModelStatus("ready", runner=future.result())

    @property
    def is_ready(self) -> bool:
        """Whether nothing is being loaded and, of what was asked for, something can serve."""
        states = [self.status(name).state for name in list(self._runners)]
        return "loading" not in states and (not states or "ready" in states)

    def close(self) -> None:
        """Refuse further requests and free every model; one that is being loaded is freed as soon as it is there."""
        with self._lock:
            self._closed = True
            futures = list(self._runners.values())
        for future in futures:
            if future.done() and not future.exception():
                future.result().close()

    def _order(self, name: str) -> Future[Runner]:
        with self._lock:
            if self._closed:
                raise ShuttingDown("the service is shutting down")
            self.config(name)
            if name not in self._runners:
                self._runners[name] = Future()
                self._last_load = self._start_load(name, after=self._last_load)
            return self._runners[name]

    def _start_load(self, name: str, after: threading.Thread | None) -> threading.Thread:
        """A thread for each load, which ends with it. llama.cpp packs weights with an OpenMP team of the loading
        thread; while that team lives beside the engine's, libgomp sleeps at every barrier instead of spinning."""
        thread = threading.Thread(target=self._settle, args=(name, after), name=f"load-{name}", daemon=True)
        thread.start()
        return thread

    def _settle(self, name: str, after: threading.Thread | None) -> None:
        if after:
            after.join()
        try:
            runner = self._load_warm(self._folder.configs[name])
        except CoreError as error:
            logger.error("%s cannot be loaded: %s", name, error.message)
            self._runners[name].set_exception(error)
        except Exception as error:  # the thread boundary: whatever a library raises is this model's failure alone
            logger.exception("%s cannot be loaded", name)
            self._runners[name].set_exception(ModelUnusable(f"{name} cannot be loaded: {error}"))
        else:
            self._runners[name].set_result(runner)

    def _load_warm(self, config: ModelConfig) -> Runner:
        started = time.perf_counter()
        runner = self._load(config)
        try:
            runner.warm()
            with self._lock:
                if self._closed:
                    raise ShuttingDown("the service is shutting down")
        except BaseException:
            runner.close()
            raise
        gc.collect()
        gc.freeze()  # what a library brought stays; walking through it again would stop every stream for a moment
        logger.info("%s is ready after %.1f s", config.name, time.perf_counter() - started)
        return runner
