"""Picks up edits of a models folder while it is served.

The folder is looked at every few seconds, because notification services miss changes on network and container mounts.
Invariant: a model that works is never replaced by one whose files have errors.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from core.config.folder import ModelsFolder, belongings
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.templates import KINDS
from core.config.weight_files import files_of
from core.errors import ModelUnusable

logger = logging.getLogger("warmfn.watch")

INTERVAL = 2.0
"""Seconds between two looks; a change counts once two of them see the same, so that nothing half-written is read."""

_UNFINISHED = (".part", ".lock", ".tmp", "~")

_Snapshot = Mapping[str, tuple[int, int]]
"""Path -> time of its last change in nanoseconds, and size."""


class FolderWatch:
    """Calls `apply` with every new state of the folder, on a thread of its own. `read` reads the folder."""

    def __init__(
        self,
        folder: ModelsFolder,
        read: Callable[[], ModelsFolder],
        apply: Callable[[ModelsFolder], None],
    ) -> None:
        self._read = read
        self._apply = apply
        self._path = folder.path
        self._working = _working(folder)
        self._as_read = self._current = folder
        self._seen: _Snapshot | None = None
        # The folder may have changed since it was read, so that the first look reads it again.
        self._applied: _Snapshot | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()

    def look(self) -> None:
        """One look at the folder."""
        now = _snapshot(self._path, [*self._as_read.configs.values(), *self._current.configs.values()])
        is_settled, self._seen = now == self._seen, now
        if not is_settled or now == self._applied:
            return
        is_first, self._applied = self._applied is None, now
        try:
            folder = self._read()
        except ModelUnusable as error:
            logger.error("%s; the models that were there are still served", error.message)
            return
        if not (is_first and folder == self._current):
            self._take(folder)

    def _take(self, folder: ModelsFolder) -> None:
        known = {str(problem) for problem in self._current.problems}
        kept = {name: config for name, config in self._working.items() if _has_errors(folder, name, config.source)}
        self._working = kept | _working(folder)
        self._as_read, self._current = folder, _with(kept, folder)
        for problem in self._current.problems:
            if str(problem) not in known:
                logger.warning("%s", problem)
        self._apply(self._current)

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL):
            try:
                self.look()
            except Exception:  # the thread boundary: whatever a look runs into, later edits must still be seen
                logger.exception("looking for edits in %s failed; the models are served as they were", self._path)


def _working(folder: ModelsFolder) -> dict[str, ModelConfig]:
    """The models without errors."""
    return {name: config for name, config in folder.configs.items() if not _has_errors(folder, name, None)}


def _has_errors(folder: ModelsFolder, name: str, source: Path | None) -> bool:
    """Whether there are errors about the model, or about its file as a whole."""
    errors = (problem for problem in folder.problems if problem.severity == "error")
    return any(problem.model == name or (problem.model is None and problem.file == str(source)) for problem in errors)


def _with(kept: Mapping[str, ModelConfig], folder: ModelsFolder) -> ModelsFolder:
    """`folder` with these models as they were before the edits that broke them; their weights are no models."""
    taken = belongings(kept.values())
    configs = {name: config for name, config in folder.configs.items() if config.source or not _is_in(taken, config)}
    problems = list(folder.problems)
    for name, config in kept.items():
        if configs.get(name) != config:
            configs[name] = config
            message = f"the errors in this edit keep it from being used: {name} is served as it was before"
            problems.append(Problem(str(config.source), None, None, message, model=name))
    return replace(folder, configs=configs, problems=problems)


def _is_in(taken: Collection[str], loose: ModelConfig) -> bool:
    return os.path.realpath(loose.root / loose.name) in taken


def _snapshot(root: Path, configs: Iterable[ModelConfig]) -> _Snapshot:
    return {str(path): _state(path) for path in _watched(root, configs)}


def _watched(root: Path, configs: Iterable[ModelConfig]) -> Iterator[Path]:
    """What lies in the folder, and the templates and weights that lie deeper, or would lie there."""
    with contextlib.suppress(OSError):
        for name in os.listdir(root):
            if not name.startswith(".") and not name.endswith(_UNFINISHED):
                yield root / name
    for config in configs:
        yield from _template_files(config)
        try:
            yield from files_of(config.weights)
        except ModelUnusable:
            yield root / (config.parameters.model or config.name)


def _template_files(config: ModelConfig) -> Iterator[Path]:
    """Of every template that may be the name of one: also those that are missing."""
    names = (getattr(config.template, kind) for kind in KINDS)
    yield from (config.root / f"{name}.tmpl" for name in names if name and "{{" not in name and "\n" not in name)
    yield from (Path(source.origin) for source in config.templates.values() if source.origin.endswith(".tmpl"))


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):  # a name that no file can have is a ValueError
        return 0, 0
    return status.st_mtime_ns, status.st_size
