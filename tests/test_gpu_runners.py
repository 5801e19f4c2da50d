"""What a GPU changes in a runner: attention, batches, room for the cache; torch's device and precision."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.llama.devices import Device
from core.llama.model import LlamaModel
from core.llama.offload import Offload
from core.runners import embedding_torch
from core.runners.gpu import LOADED_RESERVE, batch_rows, cache_room, embedding_batch
from core.runners.planning import plan_limits
from core.runners.torch_device import TorchCard, place

MIB, GIB = 1 << 20, 1 << 30


def test_a_gpu_gets_larger_batches_and_the_yaml_wins() -> None:
    assert (batch_rows(None, on_gpu=False), batch_rows(None, on_gpu=True)) == (1024, 2048)
    assert (embedding_batch(None, on_gpu=False), embedding_batch(None, on_gpu=True)) == (1024, 2048)
    assert {rule(64, on_gpu=on_gpu) for rule in (batch_rows, embedding_batch) for on_gpu in (True, False)} == {64}


@pytest.mark.parametrize(
    ("on_cards", "free", "memory", "room"),
    [
        (1.0, [8 * GIB], 2 * GIB, 8 * GIB),
        (1.0, [8 * GIB], None, 8 * GIB),
        (1.0, [2 * GIB, 1 * GIB], 64 * GIB, 3 * GIB),
        (0.5, [1 * GIB], 64 * GIB, 2 * GIB),
        (0.5, [8 * GIB], 1 * GIB, 2 * GIB),
        (0.0, [8 * GIB], 4 * GIB, 4 * GIB),
        (0.0, [8 * GIB], None, None),
        (1.0, [-GIB], 4 * GIB, 0),
        (1.0, [2 * GIB, -GIB], 4 * GIB, 2 * GIB),
    ],
)
def test_the_cache_has_what_fills_up_first(on_cards: float, free: list[int], memory: int | None, room: int) -> None:
    cards = [Device(f"CUDA{index}", 1, LOADED_RESERVE + size, 80 * GIB) for index, size in enumerate(free)]
    assert cache_room(on_cards, cards, memory) == room


def test_what_cuda_took_for_itself_is_not_kept_free_again_after_the_load() -> None:
    assert cache_room(1.0, [Device("CUDA0", 1, GIB, 8 * GIB)], None) == GIB - LOADED_RESERVE > GIB // 2


@pytest.mark.weights
@pytest.mark.parametrize("layers", [0, 30])
def test_gpu_layers_is_a_remedy_for_a_full_card(models_folder: Path, layers: int) -> None:
    weights = models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    model = LlamaModel(weights, offload=Offload(layers))
    with pytest.raises(ModelUnusable, match="MiB are free: lower context_size") as refused:
        plan_limits(ModelConfig(name="m", root=models_folder), model, MIB)
    assert ("gpu_layers" in refused.value.message) == bool(layers)
    model.close()


@pytest.mark.parametrize(("layers", "share"), [(0, 0.0), (1, 0.0), (3, 0.5), (5, 1.0)])
def test_the_output_layer_has_no_cache(layers: int, share: float) -> None:
    assert Offload(layers).share_of_blocks(4) == share


OLD, NEW, APPLE = TorchCard("cuda:0", 4 * GIB), TorchCard("cuda:1", 8 * GIB, True), TorchCard("mps", 16 * GIB)


@pytest.mark.parametrize(
    ("cards", "wishes", "device", "precision"),
    [
        ([], {}, "cpu", "float32"),
        ([], {"f16": True}, "cpu", "float32"),
        ([OLD], {}, "cuda:0", "float16"),
        ([OLD, NEW], {}, "cuda:1", "bfloat16"),
        ([OLD, NEW], {"f16": True}, "cuda:1", "float16"),
        ([OLD, NEW], {"f16": False}, "cuda:1", "float32"),
        ([OLD, NEW], {"gpu_layers": 0}, "cpu", "float32"),
        ([APPLE, OLD], {}, "cuda:0", "float16"),
        ([APPLE], {}, "mps", "float32"),
        ([APPLE], {"f16": True}, "mps", "float16"),
        ([APPLE, OLD], {"weight_bytes": 3 * GIB}, "mps", "float32"),
        ([OLD, NEW], {"weight_bytes": 5 * GIB}, "cpu", "float32"),
    ],
)
def test_torch_takes_the_roomiest_card_and_the_precision_it_is_good_at(
    cards: list[TorchCard], wishes: dict[str, Any], device: str, precision: str
) -> None:
    wanted: dict[str, Any] = {"weight_bytes": GIB, "gpu_layers": None, "f16": None, "batch": None}
    placement = place(cards, **wanted | wishes)
    assert (placement.device, placement.precision) == (device, precision)
    assert placement.batch_tokens == {"cpu": 1024, "mps": 4096, "cuda": 16384}[device.partition(":")[0]]


@pytest.mark.parametrize(
    ("cards", "wishes", "words"),
    [
        ([], {}, ""),
        ([], {"gpu_layers": 99}, "gpu_layers: 99: torch finds no GPU here, the CPU computes it"),
        ([], {"f16": True}, "f16: true is for GPUs: the CPU computes it in float32"),
        ([NEW], {"gpu_layers": 0}, ""),
        ([NEW], {"weight_bytes": 5 * GIB}, "the CPU computes it: cuda:1 has 8192 MiB free, and 10240 MiB are wanted"),
        ([NEW], {}, ""),
    ],
)
def test_a_wish_that_is_not_met_is_told(cards: list[TorchCard], wishes: dict[str, Any], words: str) -> None:
    wanted: dict[str, Any] = {"weight_bytes": GIB, "gpu_layers": None, "f16": None, "batch": None}
    assert place(cards, **wanted | wishes).remark == words


def test_torchs_cards_are_asked_for_their_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((index + 1) * GIB, 8 * GIB))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert embedding_torch._cards() == [TorchCard("cuda:0", GIB, True), TorchCard("cuda:1", 2 * GIB, True)]


@pytest.mark.weights
@pytest.mark.parametrize(("precision", "bound"), [("float16", 1e-4), ("bfloat16", 2e-3)])
def test_half_precision_gives_nearly_the_same_vectors(models_folder: Path, precision: Any, bound: float) -> None:
    """On the CPU, where nobody asks for it: the arithmetic is a card's."""
    folder = models_folder / "all-MiniLM-L6-v2"
    texts = ["hello world", "a longer sentence about nothing in particular", "naïve café"]
    halves, singles = (
        embedding_torch.TorchEmbedder(
            folder.name, embedding_torch.open_folder(folder, "cpu", each), context_size=None, batch_tokens=1024
        )
        for each in (precision, "float32")
    )
    # In a thread of its own: torch computes half precision with AMX and resets its tiles when it is done, while
    # llama.cpp sets them once in each thread and would then die of an illegal instruction in this one.
    with ThreadPoolExecutor(1) as thread:
        left, right = thread.map(
            lambda each: each.embed_batch(each.tokenize(texts, add_special=True)), (halves, singles)
        )
    assert halves.identity["precision"] == precision
    assert left.dtype == np.float32
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    assert ((left * right).sum(axis=1) / lengths).min() >= 1 - bound
