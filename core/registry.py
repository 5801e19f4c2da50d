"""name -> warm runner: each model is loaded once, however many ask, and replaced when its files say something else.

Invariant: a runner is closed when nobody uses it any more, so that whatever it accepted ends there; or at the very end.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from core import coldstart
from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.errors import CoreError, ModelLoading, ModelUnusable, ShuttingDown, UnknownModel
from core.loader import KEPT, Loaded, Loader, Runner

logger = logging.getLogger("warmfn.registry")

State = Literal["unloaded", "loading", "ready", "failed"]

POLL_SECONDS = 0.1
"""How often a runner that is to be replaced is asked whether it is idle."""


@dataclass(frozen=True)
class ModelStatus:
    """`error` beside a runner: the newest files cannot be loaded, and the version before them is served. `phases` is
    the ledger of its load."""

    state: State
    error: str | None = None
    runner: Runner | None = None
    phases: coldstart.Phases | None = None


@dataclass(eq=False)
class _Entry:
    """One load of one model for `config`, and the requests that are being opened on it."""

    config: ModelConfig
    future: Future[Loaded] = field(default_factory=Future)
    num_users: int = 0

    @property
    def is_settled(self) -> bool:
        return self.future.done()

    @property
    def loaded(self) -> Loaded | None:
        return self.future.result() if self.is_settled and not self.future.exception() else None

    @property
    def is_idle(self) -> bool:
        return self.is_settled and not self.num_users and (self.loaded is None or self.loaded.runner.is_idle)


class Registry:
    """`patience` is how many seconds a request waits for its model before it is told to come back; `reload_patience`
    how long an edited model may stay busy before new requests wait for its successor."""

    def __init__(
        self,
        folder: ModelsFolder,
        load: Callable[[ModelConfig], Runner],
        prepare: Callable[[ModelConfig], None] = lambda config: None,
        *,
        patience: float = 30.0,
        reload_patience: float = 30.0,
    ) -> None:
        self.folder = folder
        self._loader = Loader(load, prepare)
        self._patience = patience
        self._reload_patience = reload_patience
        self._lock = threading.Lock()
        self._adopting = threading.Lock()
        """Taken before `_lock` where both are."""
        self._entries: dict[str, _Entry] = {}
        self._outgoing: set[_Entry] = set()
        self._replacing: set[str] = set()
        self._preloaded: list[_Entry] | None = None
        self._closed = False

    def config(self, name: str) -> ModelConfig:
        """Raises UnknownModel, which tells what there is instead and which files could not be read."""
        if config := self.folder.configs.get(name):
            return config
        known = ", ".join(sorted(self.folder.configs)) or "none"
        errors = (problem for problem in self.folder.problems if problem.severity == "error")
        problems = [str(problem) for problem in errors if problem.model is None or problem.model == name]
        broken = f"; files with errors: {'; '.join(problems)}" if problems else ""
        raise UnknownModel(f"there is no model {name!r}; this server has: {known}{broken}", param="model")

    def preload(self, names: Iterable[str]) -> None:
        """Begin to load, in this order. The first call says what `is_ready` waits for. Raises UnknownModel, and loads
        nothing then."""
        names, entries = list(names), list[_Entry]()
        for name in names:
            self.config(name)
        if self._preloaded is None:
            self._preloaded = entries
        for name in names:
            with self._lock:
                entries.append(self._enter(name))

    @contextmanager
    def using(self, name: str, *, within: float = math.inf) -> Iterator[Runner]:
        """The warm runner, which stays open within this block, and as long as what was submitted in it runs.

        It is waited for as long as `patience` says, but not longer than `within` seconds.

        Raises UnknownModel, ModelLoading, ShuttingDown, or what the load failed with.
        """
        with self._lock:
            entry = self._enter(name)
            entry.num_users += 1
        try:
            yield self._wait(entry, max(min(self._patience, within), 0))
        finally:
            with self._lock:
                entry.num_users -= 1

    def update(self, folder: ModelsFolder) -> None:
        """Go on with what the files say now.

        A model that failed is tried again. One whose config changed is replaced as soon as it is idle; after
        `reload_patience` seconds its new requests wait for that. A removed one is closed when it is idle.
        """
        with self._lock:
            self.folder = folder
            names = {name for name, entry in self._entries.items() if self._is_outdated(name, entry)}
            names -= self._replacing
            self._replacing |= names
        for name in names:
            threading.Thread(target=self._replace, args=(name,), name=f"reload-{name}", daemon=True).start()

    def status(self, name: str) -> ModelStatus:
        entry = self._entries.get(name)
        if entry is None:
            return ModelStatus("unloaded")
        if not entry.is_settled:
            return ModelStatus("loading")
        if loaded := entry.loaded:
            return ModelStatus("ready", loaded.complaint, loaded.runner, loaded.phases)
        return ModelStatus("failed", str(entry.future.exception()))

    @property
    def is_ready(self) -> bool:
        """Whether the first preload is over and, of what was asked for, something can serve.

        A later load, of an edited model or of one more, makes nobody else wait.
        """
        states = [self.status(name).state for name in list(self._entries)]
        is_over = all(entry.is_settled for entry in self._preloaded or ())
        return is_over and (not states or "ready" in states)

    def close(self) -> None:
        """Refuse further requests and free every model; one that is being loaded is freed as soon as it is there."""
        with self._lock:
            self._closed = True
            self._loader.close()
            entries = [*self._entries.values(), *self._outgoing]
            self._outgoing.clear()
        with self._adopting:
            for entry in entries:
                if entry.loaded:
                    entry.loaded.runner.close()

    def _wait(self, entry: _Entry, seconds: float) -> Runner:
        try:
            failure = entry.future.exception(None if math.isinf(seconds) else seconds)
        except TimeoutError:
            raise ModelLoading(f"{entry.config.name} is still loading", retry_after=5) from None
        if failure:
            assert isinstance(failure, CoreError), "so the loader says"
            raise failure.anew()
        return entry.future.result().runner

    def _enter(self, name: str) -> _Entry:
        """The model's entry, which begins to load if it is new."""
        if self._closed:
            raise ShuttingDown("the service is shutting down")
        config = self.config(name)
        if name not in self._entries:
            entry = self._entries[name] = _Entry(config)
            self._loader.start(config, entry.future, coldstart.asked())
        return self._entries[name]

    def _is_outdated(self, name: str, entry: _Entry) -> bool:
        has_failed = entry.is_settled and entry.loaded is None
        return has_failed or self.folder.configs.get(name) != entry.config

    def _replace(self, name: str) -> None:
        """The thread of one replacement."""
        deadline = time.monotonic() + self._reload_patience
        is_over = False
        while not is_over:
            tried = self._adopt_edit(name)
            with self._lock:
                replaced = self._take_out(name, tried, is_late=time.monotonic() > deadline)
                is_over = name not in self._replacing  # from now on an edit gets a thread of its own
            if replaced:
                self._succeed(*replaced)
            else:
                time.sleep(POLL_SECONDS)

    def _take_out(self, name: str, tried: ModelConfig | None, *, is_late: bool) -> tuple[_Entry, _Entry | None] | None:
        """Put a new entry, if any, in the place of the outdated one and return (outdated, new).

        None if the outdated one is too busy yet, if its config is another one by now than was `tried`, or if nothing is
        to be replaced any more.
        """
        old, config = self._entries.get(name), self.folder.configs.get(name)
        if self._closed or not old or not self._is_outdated(name, old):
            self._replacing.discard(name)
            return None
        if config is not tried or not old.is_settled or not (old.is_idle or is_late):
            return None
        self._replacing.discard(name)
        self._outgoing.add(old)
        del self._entries[name]
        if not config:
            return old, None
        self._entries[name] = _Entry(config)
        return old, self._entries[name]

    def _adopt_edit(self, name: str) -> ModelConfig | None:
        """Let the model's runner go on with its newest config, if it can; that config.

        It takes a while, in which requests come and go. Only `close` waits, which would free what the runner works on.
        """
        with self._adopting:
            with self._lock:
                entry, config = self._entries.get(name), self.folder.configs.get(name)
                loaded = entry.loaded if entry and not self._closed else None
            if entry and config and loaded and entry.config != config:
                self._adopt(entry, loaded, config)
        return config

    def _adopt(self, entry: _Entry, loaded: Loaded, config: ModelConfig) -> None:
        try:
            if not _has_only_come(entry.config, config) and not loaded.runner.adopt(config):
                return
        except ModelUnusable as error:
            entry.config, loaded.complaint = config, f"{KEPT}: {error.message}"
            logger.error("%s: %s", config.name, loaded.complaint)
            return
        entry.config = loaded.config = config
        loaded.complaint = None
        logger.info("%s goes on with its new settings", config.name)

    def _succeed(self, old: _Entry, successor: _Entry | None) -> None:
        """Close `old` as soon as it is idle, then load its successor."""
        phases = coldstart.asked()
        with coldstart.phase("predecessor", phases):
            self._close_when_idle(old)
        if successor:
            with self._lock:
                fallback = old.loaded.config if old.loaded else None
                self._loader.start(successor.config, successor.future, phases, fallback=fallback)

    def _close_when_idle(self, old: _Entry) -> None:
        while not old.is_idle and not self._closed:
            time.sleep(POLL_SECONDS)
        with self._lock:
            was_closed = old not in self._outgoing
            self._outgoing.discard(old)
        if old.loaded and not was_closed:
            old.loaded.runner.close()
            logger.info("%s is closed: its files have changed", old.config.name)


def _has_only_come(before: ModelConfig, now: ModelConfig) -> bool:
    """Whether all that is new are the weights, which were pulled after the folder was read and are loaded already."""
    return before.weights_state is None and before.model_copy(update={"weights_state": now.weights_state}) == now
