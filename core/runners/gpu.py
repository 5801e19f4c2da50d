"""What a GPU changes for models that llama.cpp computes: batches, and where the KV cache has to fit.

The sizes for GPUs are llama.cpp's own defaults, not measured: `bench/scenarios/gpu.yaml` is there for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.host import available_memory
from core.llama.devices import Device, gpus
from core.llama.model import LlamaModel

CPU_BATCH, GPU_BATCH = 1024, 2048
CPU_EMBEDDING_BATCH, GPU_EMBEDDING_BATCH = 1024, 2048
"""llama.cpp computes attention between all tokens of a batch and then masks it, so a large batch of short texts is
slower on a CPU than several small ones: on 2 cores 47-52 texts/s against 31 with 2048. How far less than this pays is
measured at each warm-up (`EmbeddingRunner.warm`). A GPU wants to be filled."""

LOADED_RESERVE = 1 << 28
"""Bytes of a card that stay free beside the cache, for the buffers of a pass. CUDA's own context is there already once
a model is loaded, so what is free is less by it."""


def batch_rows(asked: int | None, *, on_gpu: bool) -> int:
    """Rows of one decode call."""
    return asked or (GPU_BATCH if on_gpu else CPU_BATCH)


def embedding_batch(asked: int | None, *, on_gpu: bool) -> int:
    """Tokens of one batch of texts."""
    return asked or (GPU_EMBEDDING_BATCH if on_gpu else CPU_EMBEDDING_BATCH)


def free_for_cache(model: LlamaModel) -> int | None:
    """Bytes that a KV cache of a loaded model may take; None where nobody knows."""
    if not model.is_offloaded:
        return available_memory()
    offload = model.offload
    return cache_room(offload.share_of_blocks(model.num_layers), offload.cards_of(gpus()), available_memory())


def cache_room(on_cards: float, cards: Sequence[Device], memory: int | None) -> int | None:
    """Each block's cache lies where the block does: the fraction `on_cards` in the cards' memory, the rest in the
    host's. What fills up first is the bound."""
    rooms = []
    if on_cards > 0:
        rooms.append(sum(max(0, card.free - LOADED_RESERVE) for card in cards) / on_cards)
    if on_cards < 1 and memory is not None:
        rooms.append(memory / (1 - on_cards))
    return int(min(rooms)) if rooms else None
