"""What a file or folder of weights really is, told from its first bytes and never from its name."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.gguf import GGUF_MAGIC, GIT_LFS_MAGIC

_FOREIGN: list[tuple[re.Pattern[bytes], str]] = [
    (re.compile(rb"(lmgg|fmgg|tjgg|algg)"), "is in the ggml format that came before GGUF"),
    (re.compile(rb".{8}\{\s*\"", re.DOTALL), "is a safetensors file"),
    (re.compile(rb"PK\x03\x04|\x80[\x02-\x05]"), "is a PyTorch file"),
    (re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE), "is a web page, not weights"),
]
_TAIL = "pull this model as a GGUF file (`warmfn pull hf:OWNER/REPO/FILE.gguf`) and name that"
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_TENSOR_FILES = (".safetensors", ".bin", ".pt")


def is_gguf(path: Path) -> bool:
    return head(path).startswith(GGUF_MAGIC)


def is_sentence_transformers(path: Path) -> bool:
    return os.path.isfile(path / "modules.json") and os.path.isfile(path / "config.json")


def gguf_fault(path: Path) -> str | None:
    """Why `path` cannot be loaded as a GGUF file, and the remedy; None if it begins as one."""
    if os.path.isdir(path):
        found = f"{path.name} is a folder, and llama.cpp takes a GGUF file"
        if any(path.glob("*.gguf")):
            return f"{found}: name the file in it"
        return f"{found}: for text {_TAIL}; for embeddings say `backend: sentencetransformers`"
    start = head(path)
    if start.startswith(GGUF_MAGIC):
        return None
    if fault := _pointer_fault(path, start):
        return fault
    if path.suffix.lower() == ".onnx":
        return f"{path.name} is an ONNX file, not GGUF: {_TAIL}"
    found = next((words for pattern, words in _FOREIGN if pattern.match(start)), "is not a GGUF file")
    return f"{path.name} {found}: {_TAIL}"


def folder_fault(path: Path) -> str | None:
    """Why `path` cannot be loaded as a sentence-transformers folder, and the remedy; None if nothing speaks against."""
    if not os.path.isdir(path):
        if is_gguf(path):
            return f"{path.name} is a GGUF file, not a folder: say `backend: llama-cpp` and `embeddings: true`"
        return f"{path.name} is a file: name a folder as sentence-transformers saves it, or a GGUF file with llama-cpp"
    if not os.path.isfile(path / "config.json"):
        return f"{path.name} has no config.json: put a model's whole folder there, as sentence-transformers saves it"
    tensors = list(_tensor_files(path))
    if not tensors:
        return f"{path.name} has no weights in it, only what is around them: put its model.safetensors there"
    return next((fault for file in tensors if (fault := _pointer_fault(file, head(file)))), None)


def head(path: Path, size: int = 64) -> bytes:
    """The first bytes; b"" where nothing can be read. A pipe or device is not opened: that might never end."""
    try:
        if not os.path.isfile(path):
            return b""
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def files_of(path: Path) -> list[Path]:
    """Of a folder all files in it; of a split GGUF all parts that are there; else the one."""
    if os.path.isdir(path):
        return [file for file in path.rglob("*") if os.path.isfile(file)]
    found = _PART.search(path.name)
    return sorted(path.parent.glob(f"{path.name[: found.start()]}-*-of-{found[2]}.gguf")) if found else [path]


def part_number(path: Path) -> int | None:
    """Of a split GGUF's file, from 1; None if it is none."""
    found = _PART.search(path.name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class WeightsState:
    """By which a change of weights is noticed; `changed_ns` is when the newest of the files was written."""

    num_bytes: int
    changed_ns: int


def weights_state(path: Path) -> WeightsState:
    """What is missing counts as empty."""
    sizes, times = [0], [0]
    for file in files_of(path):
        with contextlib.suppress(OSError):
            status = file.stat()
            sizes.append(status.st_size)
            times.append(status.st_mtime_ns)
    return WeightsState(sum(sizes), max(times))


def _pointer_fault(path: Path, start: bytes) -> str | None:
    if start.startswith(GIT_LFS_MAGIC):
        return f"{path.name} is a git-lfs pointer, not the weights: run `git lfs pull` in the repository it came from"
    if not start:
        return f"{path.name} is empty or cannot be read: fetch it again"
    return None


def _tensor_files(folder: Path) -> Iterator[Path]:
    for pattern in ("*", "*/*"):
        files = (file for file in sorted(folder.glob(pattern)) if file.suffix in _TENSOR_FILES)
        yield from filter(os.path.isfile, files)
