"""What every target of a run must have in common: the file, the context and its cache, the slots, the threads.

Read from the model's own YAML, so that the numbers are about what would be served.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from core.config.folder import read_folder
from core.config.model import ModelConfig, needs_flash_attention
from core.host import available_cpus

EMBEDDING_SLOTS = 32
"""Texts that llama.cpp's server may take at once, where the YAML says nothing: enough to fill its micro-batch."""

CONTEXT_KEYS = (
    *("flash_attention", "cache_type_k", "cache_type_v", "rope_scaling"),
    *("yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_orig_ctx"),
)
CONTEXT_PARAMETERS = ("rope_freq_base", "rope_freq_scale")
"""Keys of the YAML, and of its `parameters`, that change the work of a token."""


@dataclass(frozen=True)
class Deployment:
    """`slots` sequences of at most `context_size` tokens each; `embeds` tells a model that gives vectors.
    `context_keys` are those of CONTEXT_KEYS and CONTEXT_PARAMETERS that the YAML sets: the others are each server's own
    choice."""

    models: str
    name: str
    weights: str
    context_size: int
    slots: int
    threads: int
    threads_batch: int
    embeds: bool = False
    context_keys: dict[str, str | float] = field(default_factory=dict)

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
        raise BenchError(
            f"{config.source}: llama.cpp's server reads GGUF files only, and these weights are a folder: leave that "
            "target out"
        )
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
        context_keys=_context_keys(config),
    )


def _context_keys(config: ModelConfig) -> dict[str, str | float]:
    said = {key: getattr(config, key) for key in CONTEXT_KEYS}
    said |= {key: getattr(config.parameters, key) for key in CONTEXT_PARAMETERS}
    if needs_flash_attention(config.cache_type_v):
        said["flash_attention"] = "on"
    return {key: value for key, value in said.items() if value is not None}
