"""Starting llama.cpp once per process and routing its log into Python's."""

from __future__ import annotations

import ctypes
import functools
import logging

import llama_cpp.llama_cpp as lib

logger = logging.getLogger("warmfn.llama")

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
"""ggml's info is a developer's debug: dozens of lines per load. Continuation lines (5) are dropped."""


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: ctypes.c_void_p) -> None:
    if level in _LEVELS and logger.isEnabledFor(_LEVELS[level]):
        logger.log(_LEVELS[level], "%s", text.decode("utf-8", "replace").rstrip())


@functools.cache
def start_backend() -> None:
    """Idempotent; call before anything else of llama.cpp."""
    lib.llama_log_set(_log, ctypes.c_void_p(0))
    lib.llama_backend_init()
