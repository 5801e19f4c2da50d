"""A GGUF file in another quantization, made by llama.cpp's own quantizer.

`python -m core.llama.quantize SOURCE TARGET TYPE` is the child that computes: one call into C for minutes, which
only the end of its process can stop.
"""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import llama_cpp.llama_cpp as lib

from core.errors import StoreError
from core.gguf import read_header
from core.gguf.estimate import TYPES, estimated_bytes
from core.gguf.quants import FILE_TYPES
from core.host import available_cpus
from core.llama.library import start_backend
from core.store.disk import explained_disk_errors, require_room
from core.store.progress import Progress, silent

__all__ = ["TYPES", "estimated_bytes", "quantize"]

POLL_SECONDS = 0.1


def quantize(source: Path, target: Path, type: str, on_progress: Progress = silent) -> None:
    """Make `target`, of a `type` of TYPES, from the GGUF at `source`, which may be quantized itself.

    What a first quantization lost does not come back, and each one adds an error of its own: measure it
    (`core.llama.perplexity`). The file appears whole or not at all, also where `on_progress` raises or Ctrl-C comes.
    Raises StoreError where the disk has no room or llama.cpp refuses, ModelUnusable for a source that is no whole GGUF.
    """
    expected = estimated_bytes(read_header(source), type)
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with explained_disk_errors(target.parent):
        require_room(target.parent, expected)
        try:
            _run_child(source, part, type, lambda done: on_progress(f"make {target.name}", done, expected))
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


def _run_child(source: Path, part: Path, type: str, on_size: Callable[[int], None]) -> None:
    command = [sys.executable, "-m", "core.llama.quantize", str(source), str(part), type]
    with TemporaryFile() as words:
        child = subprocess.Popen(command, stderr=words, env={**os.environ, "GGML_NO_BACKTRACE": "1"})
        try:
            while _is_running(child):
                on_size(part.stat().st_size if part.exists() else 0)
        finally:
            child.kill()
            child.wait()
        if child.returncode:
            words.seek(0)
            raise StoreError(_failure(source, type, words.read().decode("utf-8", "replace")))


def _is_running(child: subprocess.Popen[bytes]) -> bool:
    """Whether it still runs after a moment."""
    try:
        child.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _failure(source: Path, type: str, words: str) -> str:
    last = words.strip().rpartition("\n")[2] or "it gave no reason"
    return (
        f"{source.name} cannot be quantized to {type}: {last}. If that is not the disk, take another type, or a file "
        "in this quantization from the model's publisher."
    )


def main() -> int:
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    source, target, type = sys.argv[1:]
    start_backend()
    params = lib.llama_model_quantize_default_params()
    params.ftype = next(number for number, name in FILE_TYPES.items() if name == type)
    params.nthread = available_cpus()
    params.allow_requantize = True
    return int(lib.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params)))


if __name__ == "__main__":
    sys.exit(main())
