"""Loads models one at a time, since two loads at once would only slow each other down, and warms each up."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from core import coldstart
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.errors import CoreError, ModelUnusable, ShuttingDown
from core.line import Line

logger = logging.getLogger("warmfn.loader")

HEAD_START = 0.3
"""Seconds that a load waits for one before it that is still being prepared: to see that weights are in the page cache
takes less, a download or a slow disk more."""

KEPT = "its files as they are now cannot be used, the version before is served"


class Runner(Protocol):
    """A loaded model."""

    @property
    def kind(self) -> Literal["text", "embedding"]: ...

    @property
    def facts(self) -> dict[str, Any]:
        """Its limits and identity, for `/v1/models`."""

    @property
    def is_idle(self) -> bool:
        """Whether every request it accepted has ended."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with its config, as far as only the loaded model can tell."""

    def warm(self) -> None:
        """Compute a little, so that the first request finds everything ready."""

    def adopt(self, config: ModelConfig) -> bool:
        """Go on with `config` if that needs no other weights, context or batches; False if it does.

        Raises ModelUnusable, and goes on as before, if it would not work.
        """

    def close(self) -> None:
        """Free everything; what is running ends with ShuttingDown."""


@dataclass
class Loaded:
    """`config` is what the runner works by; with a `complaint`, it is the version before the one that was asked for.

    `phases` is the ledger of this load (`core.coldstart`).
    """

    runner: Runner
    config: ModelConfig
    phases: coldstart.Phases
    complaint: str | None = None


class Loader:
    """`prepare` does what may go on beside other models' loads and holds up none, such as a download; then, in turn,
    `load` makes the config's runner. What they raise is that model's failure alone."""

    def __init__(self, load: Callable[[ModelConfig], Runner], prepare: Callable[[ModelConfig], None]) -> None:
        self._load = load
        self._prepare = prepare
        self._line = Line(HEAD_START)
        self._closed = False

    def start(
        self,
        config: ModelConfig,
        into: Future[Loaded],
        phases: coldstart.Phases,
        *,
        fallback: ModelConfig | None = None,
    ) -> None:
        """Settle `into` once the models that were asked for before this one are loaded; `phases` becomes its ledger.

        A thread for each load, which ends with it: a llama.cpp with OpenMP packs weights with a team of the loading
        thread; while that team lives beside the engine's, libgomp sleeps at every barrier instead of spinning.
        """
        arguments = (config, fallback, into, phases)
        self._line.start(threading.Thread(target=self._settle, args=arguments, name=f"load-{config.name}", daemon=True))

    def close(self) -> None:
        """What is still to be loaded, or being loaded, ends with ShuttingDown."""
        self._closed = True

    def _settle(
        self, config: ModelConfig, fallback: ModelConfig | None, into: Future[Loaded], phases: coldstart.Phases
    ) -> None:
        try:
            with coldstart.recording(phases):
                loaded = self._load_or_fall_back(config, fallback, phases)
            into.set_result(loaded)
        except CoreError as error:
            into.set_exception(error)

    def _load_or_fall_back(self, config: ModelConfig, fallback: ModelConfig | None, phases: coldstart.Phases) -> Loaded:
        try:
            return self._load_warm(config, phases)
        except CoreError as error:
            if fallback is None or self._closed:
                raise
            return replace(self._load_warm(fallback, phases), complaint=f"{KEPT}: {error.message}")

    def _load_warm(self, config: ModelConfig, phases: coldstart.Phases) -> Loaded:
        runner = self._load_explained(config)
        gc.collect()
        gc.freeze()  # what a library brought stays; walking through it again would stop every stream for a moment
        phases["ready"] = coldstart.age()
        logger.info("%s is ready: %s", config.name, coldstart.describe(phases))
        return Loaded(runner, config, phases)

    def _load_explained(self, config: ModelConfig) -> Runner:
        try:
            return self._load_in_turn(config)
        except ShuttingDown:
            raise
        except CoreError as error:
            logger.error("%s cannot be loaded: %s", config.name, error.message)
            raise
        except Exception as error:  # the thread boundary: whatever a library raises is this model's failure alone
            logger.exception("%s cannot be loaded", config.name)
            raise ModelUnusable(f"{config.name} cannot be loaded; the server's log says why") from error

    def _load_in_turn(self, config: ModelConfig) -> Runner:
        self._prepare(config)
        with coldstart.phase("waiting"):
            self._line.wait()
        if self._closed:
            raise ShuttingDown("the service is shutting down")
        runner = self._load(config)
        with coldstart.phase("warm_up"):
            self._warm(runner)
        return runner

    def _warm(self, runner: Runner) -> None:
        try:
            runner.warm()
            if self._closed:
                raise ShuttingDown("the service is shutting down")
        except BaseException:
            runner.close()
            raise
