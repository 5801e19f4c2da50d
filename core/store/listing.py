"""What the gallery offers, and what of it is in the models folder already. Neither hashes nor fetches anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.config.defaults import DEFAULT_SLOTS
from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.gguf import read_header
from core.store.gallery import Entry, Gallery
from core.store.memory import Memory, memory_of

State = Literal["yes", "no", "partly", "damaged"]


@dataclass(frozen=True)
class Listed:
    """One model of the gallery. `size` in bytes; None is unknown.

    `memory` is for the context and slots of the YAML that serves these files. Without one it is for the defaults, and
    for a model with a KV cache unknown before the files are there: they tell how long its context can be.
    """

    name: str
    description: str
    license: str
    quant: str | None
    size: int | None
    memory: Memory | None
    state: State
    problem: str | None = None


def list_gallery(gallery: Gallery, models: Path) -> list[Listed]:
    configs = read_folder(models).configs
    return [_listed(name, entry, models, configs) for name, entry in gallery.entries.items()]


def _listed(name: str, entry: Entry, models: Path, configs: dict[str, ModelConfig]) -> Listed:
    config = _config_of(name, entry, configs)
    files = [models / target for target in entry.targets()]
    present = [file for file in files if file.is_file()]
    quant, size, memory, problem = entry.quant, entry.size, _expected_memory(entry, config), None
    state: State = "yes" if len(present) == len(files) else "partly" if present else "no"
    if state == "yes":
        weights = models / entry.files[0].target
        size = sum(file.stat().st_size for file in files)
        try:
            memory = memory_of(weights, *((config.context_size, config.slots) if config else (None, None)))
            quant = quant or (None if weights.is_dir() else read_header(weights).quant)
        except ModelUnusable as error:
            state, memory, problem = "damaged", None, error.message
    return Listed(name, entry.description, entry.license, quant, size, memory, state, problem)


def _expected_memory(entry: Entry, config: ModelConfig | None) -> Memory | None:
    """By what the gallery says; files are little more than the weights in them."""
    context_size, slots = (config.context_size, config.slots) if config else (None, None)
    if entry.size is None or entry.kv_bytes_per_token is None or (entry.kv_bytes_per_token and not context_size):
        return None
    kv_per_slot = entry.kv_bytes_per_token * (context_size or 0)
    return Memory(entry.size, kv_per_slot, context_size or 0, slots or (DEFAULT_SLOTS if kv_per_slot else 1))


def _config_of(name: str, entry: Entry, configs: dict[str, ModelConfig]) -> ModelConfig | None:
    """The model of that name, or else one with these weights."""
    weights = entry.files[0].target
    return configs.get(name) or next((c for c in configs.values() if c.parameters.model == weights), None)
