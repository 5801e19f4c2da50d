"""Environment -> Service, once per process, after any fork.

functions-framework's CLI imports our module in the process that later forks. A thread or an OpenMP team that was
started before the fork is missing in the child, which then waits for it for ever; so nothing is loaded at import.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Collection, Mapping
from functools import partial

from core import coldstart
from core.config.backends import Backend, choose_backend
from core.config.folder import ModelsFolder, read_folder
from core.config.model import ModelConfig
from core.config.weight_files import files_of
from core.errors import ModelUnusable
from core.readahead import read_ahead
from core.service import Service
from core.watch import FolderWatch
from handlers.pull_at_start import pull_model
from handlers.settings import Settings

logger = logging.getLogger("warmfn")

QUICKEST: tuple[Backend, ...] = ("llama-embedding", "llama-text", "torch-embedding")
"""The order of loads. With MiniLM as a GGUF first, a first embedding came 0.8 s sooner and SmolLM2's first token 0.1 s
later; with MiniLM in torch first, 0.5 s sooner and 3.9 s later."""

_lock = threading.Lock()
_service: Service | None = None


def service(*, patience: float = 30.0) -> Service:
    """This process's service. The first call reads the models folder and begins to load; later ones return at once.
    `patience` as in `Service`.

    Raises BadSetting, ModelUnusable if there is no such folder, UnknownModel for a name to preload that is not in it.
    """
    global _service
    with _lock:
        if _service is None:
            _service = _start(Settings.from_environ(), patience)
        return _service


def started() -> Service | None:
    """The service, if there is one already. Never waits, so that a signal handler may ask."""
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


def _start(settings: Settings, patience: float) -> Service:
    coldstart.imported()
    set_up_logging(settings.debug)
    if os.environ.get("WORKERS", "1") != "1":
        logger.warning("WORKERS=%s: every worker holds all models in memory for itself", os.environ["WORKERS"])
    with coldstart.phase("folder", coldstart.process):
        folder = read_folder(settings.models, settings.folder_defaults)
    service = Service(folder, prepare=partial(_prepare, pulled=settings.pull), patience=patience)
    preload = _all(folder, settings.pull) if settings.preload is None else settings.preload
    service.registry.preload([*preload, *_installed(folder, settings.installs), *settings.pull])
    _watch(service, settings)
    return service


def _prepare(config: ModelConfig, pulled: Collection[str]) -> None:
    """What goes on beside other models' loads: it waits for a network or a disk."""
    if config.name in pulled:
        with coldstart.phase("pull"):
            pull_model(config.name, config.root)
    if _has_weights(config):
        read_ahead(files_of(config.weights))


def _watch(service: Service, settings: Settings) -> None:
    """Pick up edits of the folder from now on."""

    def apply(folder: ModelsFolder) -> None:
        service.update(folder)
        if settings.preload is None:
            service.registry.preload(_all(folder, settings.pull))

    folder = service.folder
    FolderWatch(folder, lambda: read_folder(folder.path, folder.defaults), apply).start()


def not_pulled(folder: ModelsFolder) -> list[str]:
    """Models whose weights are not here."""
    return [name for name, config in folder.configs.items() if not _has_weights(config)]


def _all(folder: ModelsFolder, pulled: Collection[str]) -> list[str]:
    """All models that have a YAML, in the order of QUICKEST; what is `pulled` first of all comes last of all. Loose
    weights wait for a request.

    What is not here is left out, unless that leaves nothing: then all of them fail, and this process is not ready.
    """
    named = [name for name, config in folder.configs.items() if config.source]
    missing = not_pulled(folder)
    loaded = [name for name in named if name in pulled or name not in missing] or named
    return sorted(loaded, key=lambda name: (name in missing, _place_in_line(folder.configs[name])))


def _place_in_line(config: ModelConfig) -> int:
    try:
        return QUICKEST.index(choose_backend(config))
    except ModelUnusable:
        return len(QUICKEST)


def _has_weights(config: ModelConfig) -> bool:
    try:
        return config.weights.exists()
    except ModelUnusable:
        return False


def _installed(folder: ModelsFolder, installs: Mapping[str, str]) -> list[str]:
    """Of what LocalAI would install now, the models that are here."""
    for name, url in installs.items():
        if name not in folder.configs:
            logger.error(
                "PRELOAD_MODELS: there is no model %r in %s, and nothing is installed at start: "
                "fetch the weights of %s with `warmfn pull` or `warmfn add`",
                *(name, folder.path, url),
            )
    return [name for name in installs if name in folder.configs]


def set_up_logging(debug: bool) -> None:
    """Our own log to stderr; the host's loggers are left alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
