"""Weights that no config names: each is a model under its own file's name, as LocalAI lists them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from core.config.checks import check
from core.config.defaults import FolderDefaults
from core.config.document import Document
from core.config.entry import Entry
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.weight_files import gguf_fault, is_gguf, is_sentence_transformers, part_number
from core.errors import ModelUnusable
from core.gguf import GgufHeader, read_header

_UNFINISHED = (".part", ".tmp", ".incomplete", ".lock", ".bak")


def loose_models(
    root: Path, entries: Iterable[Path], named: Collection[str], defaults: FolderDefaults
) -> Iterator[tuple[ModelConfig | None, list[Problem]]]:
    """Each with its problems; `entries` is what lies in `root`, `named` the real paths of what belongs to configs.

    Later parts of a split file, adapters, picture projectors, bare vocabularies and rerankers are passed over: nothing
    could be asked of them.
    """
    for path in entries:
        if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED or os.path.realpath(path) in named:
            continue
        if os.path.isdir(path):
            if is_sentence_transformers(path):
                yield _model(root, path, defaults, embeddings=True)
        elif os.path.isfile(path) and is_gguf(path):
            yield from _gguf(root, path, defaults)
        elif path.suffix.lower() == ".gguf" and (fault := gguf_fault(path)):
            yield None, [Problem(str(path), None, None, fault, "warning", path.name)]


def cached_header(path: Path) -> GgufHeader:
    """The header, read again only when the file has changed. Raises ModelUnusable."""
    try:
        stat = path.stat()
    except OSError as error:
        raise ModelUnusable(f"{path} cannot be read: {error.strerror}: fetch it again") from error
    return _header(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _header(path: Path, size: int, mtime_ns: int) -> GgufHeader:
    return read_header(path)


def _gguf(root: Path, path: Path, defaults: FolderDefaults) -> Iterator[tuple[ModelConfig | None, list[Problem]]]:
    if (part_number(path) or 1) > 1:
        return
    try:
        header = cached_header(path)
    except ModelUnusable as error:
        yield None, [Problem(str(path), None, None, error.message, "error", path.name)]
        return
    if header.kind == "model" and header.pooling != "rank" and not header.is_vocabulary_only:
        yield _model(root, path, defaults, embeddings=header.is_embedding)


def _model(root: Path, path: Path, defaults: FolderDefaults, *, embeddings: bool) -> tuple[ModelConfig, list[Problem]]:
    values = {"name": path.name, "parameters": {"model": path.name}, "embeddings": embeddings or None}
    config = ModelConfig.model_validate({**values, "root": root})
    return check(Entry(path, values, Document()), defaults.apply(config))
