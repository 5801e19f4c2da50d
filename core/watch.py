"""Picks up edits of a models folder while it is served.

The folder is looked at every few seconds, because notification services miss changes on network and container mounts.
Invariant: a model that works is never replaced by one whose files have errors.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.config.problem import Problem
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
        self._current = folder
        self._applied = self._seen = _snapshot(folder)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()

    def look(self) -> None:
        """One look at the folder."""
        now = _snapshot(self._current)
        is_settled, self._seen = now == self._seen, now
        if not is_settled or now == self._applied:
            return
        self._applied = now
        try:
            folder = self._read()
        except ModelUnusable as error:
            logger.error("%s; the models that were there are still served", error.message)
            return
        self._take(folder)

    def _take(self, folder: ModelsFolder) -> None:
        known = {str(problem) for problem in self._current.problems}
        kept = {name: config for name, config in self._working.items() if _has_errors(folder, name, config.source)}
        self._working = kept | _working(folder)
        self._current = _with(kept, folder)
        for problem in self._current.problems:
            if str(problem) not in known:
                logger.warning("%s", problem)
        self._apply(self._current)

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL):
            self.look()


def _working(folder: ModelsFolder) -> dict[str, ModelConfig]:
    """The models without errors."""
    return {name: config for name, config in folder.configs.items() if not _has_errors(folder, name, None)}


def _has_errors(folder: ModelsFolder, name: str, source: Path | None) -> bool:
    """Whether there are errors about the model, or about its file as a whole."""
    errors = (problem for problem in folder.problems if problem.severity == "error")
    return any(problem.model == name or (problem.model is None and problem.file == str(source)) for problem in errors)


def _with(kept: Mapping[str, ModelConfig], folder: ModelsFolder) -> ModelsFolder:
    """`folder` with these models as they were before the edits that broke them."""
    configs, problems = dict(folder.configs), list(folder.problems)
    for name, config in kept.items():
        if configs.get(name) != config:
            configs[name] = config
            message = f"the errors in this edit keep it from being used: {name} is served as it was before"
            problems.append(Problem(str(config.source), None, None, message, model=name))
    return replace(folder, configs=configs, problems=problems)


def _snapshot(folder: ModelsFolder) -> _Snapshot:
    return {str(path): _state(path) for path in _watched(folder)}


def _watched(folder: ModelsFolder) -> Iterator[Path]:
    """What lies in the folder, and the templates in use that lie deeper."""
    for name in os.listdir(folder.path) if folder.path.is_dir() else ():
        if not name.startswith(".") and not name.endswith(_UNFINISHED):
            yield folder.path / name
    for config in folder.configs.values():
        yield from (Path(source.origin) for source in config.templates.values() if source.origin.endswith(".tmpl"))


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
