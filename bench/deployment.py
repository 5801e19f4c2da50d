"""What every target of a run must have in common: the file, the context, the slots, the threads.

Read from the model's own YAML, so that the numbers are about what would be served.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.host import available_cpus

EMBEDDING_SLOTS = 32
"""Texts that llama.cpp's server may take at once, where the YAML says nothing: enough to fill its micro-batch."""


@dataclass(frozen=True)
class Deployment:
    """`slots` sequences of at most `context_size` tokens each; `embeds` tells a model that gives vectors."""

    models: str
    name: str
    weights: str
    context_size: int
    slots: int
    threads: int
    threads_batch: int
    embeds: bool = False

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        return cls(**json.loads(text))


def read_deployment(models: Path, name: str) -> Deployment:
    """Raises BenchError where the folder has no such model or its YAML leaves a compared setting open."""
    return _from_config(read_config(models, name))


def read_config(models: Path, name: str) -> ModelConfig:
    """Raises BenchError where the folder has no such model."""
    folder = read_folder(models)
    config = folder.configs.get(name)
    if config is None:
        problems = "".join(f"\n{problem}" for problem in folder.problems)
        raise BenchError(f"no model {name!r} in {models}; it has {', '.join(folder.configs) or 'none'}{problems}")
    return config


def _from_config(config: ModelConfig) -> Deployment:
    embeds = bool(config.embeddings)
    slots = config.slots or (EMBEDDING_SLOTS if embeds else None)
    if not (config.context_size and slots):
        raise BenchError(f"{config.source}: set context_size and slots, so that every target can be given the same")
    if config.weights.is_dir():
        raise BenchError(f"{config.source}: llama.cpp's server reads GGUF files only, and these weights are a folder")
    threads = config.threads or available_cpus()
    return Deployment(
        models=str(config.root.absolute()),
        name=config.name,
        weights=str(config.weights.absolute()),
        context_size=config.context_size,
        slots=slots,
        threads=threads,
        threads_batch=config.threads_batch or threads,
        embeds=embeds,
    )
