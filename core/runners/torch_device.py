"""Where torch computes and how precisely; decided from what is there, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "float16", "bfloat16"]

ROOM_PER_WEIGHT = 2
"""A card is taken if this many times the weights are free: batches and CUDA's libraries need some, too."""

BATCH_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""Padded tokens of one batch: a CPU gains little beyond the first few rows, a GPU wants to be filled."""


@dataclass(frozen=True)
class TorchCard:
    """`name` is torch's, such as `cuda:0` or `mps`; `free` bytes of its memory."""

    name: str
    free: int
    has_bfloat16: bool = False


CPU = TorchCard("cpu", 0)


@dataclass(frozen=True)
class Placement:
    """`remark` tells whoever wrote the YAML of a wish that is not met."""

    device: str
    precision: Precision
    batch_tokens: int
    remark: str = ""


def place(
    cards: Sequence[TorchCard], *, weight_bytes: int, gpu_layers: int | None, f16: bool | None, batch: int | None
) -> Placement:
    """The card with most free memory, the first kind first, if the weights fit; else the CPU."""
    roomy = [card for card in cards if card.free >= ROOM_PER_WEIGHT * weight_bytes]
    card = CPU if gpu_layers == 0 or not roomy else best(roomy)
    kind = card.name.partition(":")[0]
    return Placement(
        card.name,
        precision(card, f16),
        batch or BATCH_TOKENS[kind],
        _remark(card, cards, gpu_layers, f16, weight_bytes),
    )


def best(cards: Sequence[TorchCard]) -> TorchCard:
    """CUDA before Apple's, then by free memory."""
    return max(cards, key=lambda card: (card.name.startswith("cuda"), card.free))


def precision(card: TorchCard, f16: bool | None) -> Precision:
    """`f16: true` is float16 on any card, `false` float32. If unset, CUDA computes in bfloat16 where it has that, else
    in float16. A CPU always computes in float32, in which it is fastest."""
    if card is CPU or f16 is False:
        return "float32"
    if f16:
        return "float16"
    if not card.name.startswith("cuda"):
        return "float32"
    return "bfloat16" if card.has_bfloat16 else "float16"


def _remark(
    card: TorchCard, cards: Sequence[TorchCard], gpu_layers: int | None, f16: bool | None, weight_bytes: int
) -> str:
    if card is not CPU or gpu_layers == 0:
        return ""
    if cards:
        most = best(cards)
        return (
            f"the CPU computes it: {most.name} has {most.free >> 20} MiB free, and "
            f"{ROOM_PER_WEIGHT * weight_bytes >> 20} MiB are wanted"
        )
    if gpu_layers:
        return f"gpu_layers: {gpu_layers}: torch finds no GPU here, the CPU computes it"
    return "f16: true is for GPUs: the CPU computes it in float32" if f16 else ""
