"""Environment -> Service, once per process, after any fork.

functions-framework's CLI imports our module in the process that later forks. A thread or an OpenMP team that was
started before the fork is missing in the child, which then waits for it for ever; so nothing is loaded at import.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.compute import limit_openmp_spin
from core.config.folder import ModelsFolder, read_folder
from core.service import Service

logger = logging.getLogger("warmfn")

OFF = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """`preload` names models to load at once; None means all of the folder, an empty tuple none."""

    models: Path
    preload: tuple[str, ...] | None
    debug: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        preload = environ.get("PRELOAD_MODELS", "all").strip()
        names = {"all": None, "none": ()}.get(preload, tuple(name.strip() for name in preload.split(",")))
        debug = environ.get("DEBUG", "").strip().lower() not in OFF
        return cls(Path(environ.get("MODELS_PATH") or "models"), names, debug)


_lock = threading.Lock()
_service: Service | None = None


def service() -> Service:
    """This process's service. The first call reads the models folder and begins to load; later ones return at once.

    Raises ModelUnusable if there is no such folder, UnknownModel for a name to preload that is not in it.
    """
    global _service
    with _lock:
        if _service is None:
            _service = _start(Settings.from_environ())
        return _service


def begin() -> None:
    """Call `service` as early as is safe: at once where an event loop runs, since such a process forks no more; else in
    the first forked child. A process that does neither begins with its first request."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        os.register_at_fork(after_in_child=_begin_in_child)
    else:
        service()


def _begin_in_child() -> None:
    if _service is None:
        service()


def _start(settings: Settings) -> Service:
    set_up_logging(settings.debug)
    limit_openmp_spin()
    if os.environ.get("WORKERS", "1") != "1":
        logger.warning("WORKERS=%s: every worker holds all models in memory for itself", os.environ["WORKERS"])
    folder = read_folder(settings.models)
    service = Service(folder)
    service.registry.preload(_preloaded(folder) if settings.preload is None else settings.preload)
    return service


def _preloaded(folder: ModelsFolder) -> list[str]:
    """All models, text models first: they take longest."""
    return sorted(folder.configs, key=lambda name: bool(folder.configs[name].embeddings))


def set_up_logging(debug: bool) -> None:
    """Our own log to stderr; the host's loggers are left alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
