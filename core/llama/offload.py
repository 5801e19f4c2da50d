"""Which layers of a model go to which card: decided before it is loaded, from its header and what memory is free."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from core.config.defaults import DEFAULT_SLOTS, MAX_DEFAULT_CONTEXT
from core.config.model import ModelConfig
from core.engine.draft import MAX_DRAFTED
from core.engine.prefill import MICRO_BATCH
from core.errors import ModelUnusable
from core.gguf.footprint import Footprint, Work, measure
from core.gguf.header import GgufHeader
from core.llama.devices import Device

RESERVE = 1 << 30
"""Bytes of a card that stay free, for CUDA's own context and libraries; llama.cpp's own programs leave as much."""


@dataclass(frozen=True)
class Offload:
    """`layers` counts from the output layer, which is one of them, backwards; 0 is the CPU alone.

    All go to `card`, or where that is None to every card by `shares`, without which by free memory. `remarks` are for
    whoever wrote the YAML.
    """

    layers: int = 0
    card: int | None = None
    shares: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()

    def share_of_blocks(self, num_blocks: int) -> float:
        """The part of a model's blocks that cards compute, 0 to 1."""
        return min(1.0, max(0, self.layers - 1) / max(1, num_blocks))

    def cards_of(self, cards: Sequence[Device]) -> list[Device]:
        """Those that take part."""
        if self.card is not None:
            return [cards[self.card]]
        return [card for card, share in zip(cards, self.shares or [1.0] * len(cards), strict=False) if share]


def stay_on_cpu(config: ModelConfig) -> Offload:
    """For a host without a GPU, whatever the YAML wishes."""
    remark = f"gpu_layers: {config.gpu_layers}: there is no GPU here, the CPU computes all layers"
    return Offload(remarks=(remark,) if config.gpu_layers else ())


def plan_offload(config: ModelConfig, header: GgufHeader, cards: Sequence[Device]) -> Offload:
    """As many layers as fit where `gpu_layers` is unset; else as many as it says, of those that there are.

    Raises ModelUnusable for a `main_gpu` that is not there.
    """
    footprint = measure(header, least_work(config, header))

    def fitting_at(place: Offload) -> int:
        return layers_that_fit(footprint, place.cards_of(cards), [share for share in place.shares if share])

    place = max(_places(config, cards), key=fitting_at)
    fitting, every = fitting_at(place), len(footprint.parts)
    layers = fitting if config.gpu_layers is None else every if config.gpu_layers < 0 else min(config.gpu_layers, every)
    remarks = (*_of_split(config, place, cards), *_of_room(config, layers, fitting, every))
    return replace(place, layers=layers, remarks=remarks)


def layers_that_fit(footprint: Footprint, cards: Sequence[Device], shares: Sequence[float] = ()) -> int:
    """The most layers that fit if llama.cpp deals them out to these cards by `shares`, without any by free memory."""
    room = [card.free - RESERVE - footprint.compute for card in cards]
    ends = list(accumulate(shares or [float(card.free) for card in cards]))
    for count in range(len(footprint.parts), 0, -1):
        used = [0] * len(cards)
        for index, size in enumerate(footprint.parts[-count:]):
            used[min(bisect_right(ends, index / count * ends[-1]), len(cards) - 1)] += size
        if all(not size or size <= most for size, most in zip(used, room, strict=True)):
            return count
    return 0


def least_work(config: ModelConfig, header: GgufHeader) -> Work:
    """What a context of this model cannot do without: layers on a card are worth more than a larger KV cache."""
    trained = header.context_length or MAX_DEFAULT_CONTEXT
    context = config.context_size or (trained if config.wants_trained_context else min(trained, MAX_DEFAULT_CONTEXT))
    slots, is_split = config.slots or DEFAULT_SLOTS, config.kv == "split"
    seqs = slots + ((0 if is_split else slots) if config.holders is None else config.holders)
    embeds = bool(config.embeddings) or header.is_embedding
    return Work(
        cells=config.kv_tokens or (seqs * context if is_split else context),
        rows=max(context, MICRO_BATCH) if embeds else MICRO_BATCH,
        outputs=0 if embeds else seqs + (0 if config.prompt_lookup is False else MAX_DRAFTED),
        flash_attention=config.flash_attention != "off",
        cache_types=config.cache_types,
    )


def _places(config: ModelConfig, cards: Sequence[Device]) -> list[Offload]:
    """What the YAML chooses; else all cards that have room, or without those that have least of it: a small card gets
    a share of the layers by its memory, and where that share does not fit, the larger cards alone may hold more."""
    if config.tensor_split:
        if any(shares := config.tensor_split[: len(cards)]):
            return [Offload(shares=shares)]
    elif config.main_gpu is not None:
        return [Offload(card=_existing(config.main_gpu, config, cards))]
    bounds = sorted(card.free for card in cards if card.free > RESERVE)
    splits = [tuple(float(card.free) if card.free >= least else 0.0 for card in cards) for least in bounds]
    return [Offload(shares=() if all(split) else split) for split in splits] or [Offload()]


def _existing(index: int, config: ModelConfig, cards: Sequence[Device]) -> int:
    if index >= len(cards):
        there = ", ".join(f"{index} ({card.name})" for index, card in enumerate(cards))
        raise ModelUnusable(f"{config.place}: main_gpu: {index}: there is no such card, give one of {there}")
    return index


def _of_split(config: ModelConfig, place: Offload, cards: Sequence[Device]) -> list[str]:
    said, split = [], config.tensor_split
    some_count = any(split[: len(cards)])
    if config.main_gpu is not None and split:
        said.append("main_gpu chooses one card and tensor_split several: tensor_split counts")
    if len(split) > len(cards):
        rule = "the first count" if some_count else "it gives those nothing and is passed over"
        said.append(f"tensor_split names {len(split)} cards and there are {len(cards)}: {rule}")
    if place.shares and not some_count:
        idle = (card for card, share in zip(cards, place.shares, strict=True) if not share)
        names = ", ".join(f"{card.name} ({card.free >> 20} MiB free)" for card in idle)
        said.append(f"no layers go to {names}: as many or more fit without")
    return said


def _of_room(config: ModelConfig, layers: int, fitting: int, every: int) -> list[str]:
    if layers > fitting:
        return [f"{layers} of {every} layers go to the GPU and about {fitting} fit: if it fails, lower gpu_layers"]
    if config.gpu_layers is None and fitting < every:
        remedy = "lower context_size or change tensor_split" if config.tensor_split else "lower context_size"
        return [f"{fitting} of {every} layers fit on the GPU, the CPU computes the others: {remedy} for more"]
    return []
