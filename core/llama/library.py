"""Starting llama.cpp once per process and routing its log into Python's."""

from __future__ import annotations

import ctypes
import functools
import logging

import llama_cpp.llama_cpp as lib

from core.llama.dispatch import describe_backend, load_backends

logger = logging.getLogger("warmfn.llama")

_LEVELS = {2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
"""ggml's level -> ours. Its info is a developer's debug; its own debug (1) and continuation lines (5) are dropped."""

UNTRUE_HERE = b"possible training context overflow"
"""llama.cpp compares the whole pool with the trained window; one request is held to `context_size`."""


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level in _LEVELS and logger.isEnabledFor(_LEVELS[level]) and UNTRUE_HERE not in text:
        logger.log(_LEVELS[level], "%s", text.decode("utf-8", "replace").rstrip())


@functools.cache
def start_backend() -> None:
    """Idempotent; call before anything else of llama.cpp. Raises ModelUnusable where it cannot run here."""
    lib.llama_log_set(_log, ctypes.c_void_p(0))
    load_backends()
    lib.llama_backend_init()
    logger.info("llama.cpp computes on %s", describe_backend())
