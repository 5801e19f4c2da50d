"""The cards that llama.cpp can compute on, and what memory of theirs is free at this moment."""

from __future__ import annotations

from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass

import llama_cpp.llama_cpp as lib

from core.llama.library import start_backend

GPU, INTEGRATED_GPU = 1, 2
"""ggml's types of devices."""


@dataclass(frozen=True)
class Device:
    """`type` is ggml's number for it; sizes are in bytes. Devices of one `id` are one card, seen by two backends."""

    name: str
    type: int
    free: int
    total: int
    id: str = ""


class _Properties(Structure):
    _fields_ = (
        ("name", c_char_p),
        ("description", c_char_p),
        ("free", c_size_t),
        ("total", c_size_t),
        ("type", c_int),
        ("id", c_char_p),
        ("capabilities", c_bool * 64),  # more than there are
    )


_num_devices = CFUNCTYPE(c_size_t)(("ggml_backend_dev_count", lib._lib))
_handle = CFUNCTYPE(c_void_p, c_size_t)(("ggml_backend_dev_get", lib._lib))
_read_properties = CFUNCTYPE(None, c_void_p, POINTER(_Properties))(("ggml_backend_dev_get_props", lib._lib))


def gpus() -> list[Device]:
    """As llama.cpp numbers them when it loads a model."""
    return usable_gpus(devices())


def usable_gpus(found: list[Device]) -> list[Device]:
    """Of a card that two backends see the first counts; a GPU built into the processor counts if there is no other."""
    cards: dict[str, Device] = {}
    for device in found:
        if device.type == GPU:
            cards.setdefault(device.id or device.name, device)
    return list(cards.values()) or [device for device in found if device.type == INTEGRATED_GPU]


def devices() -> list[Device]:
    """Whatever has a backend, the CPU too."""
    start_backend()
    return [_device(index) for index in range(_num_devices())]


def _device(index: int) -> Device:
    said = _Properties()
    _read_properties(_handle(index), byref(said))
    return Device(said.name.decode(), said.type, said.free, said.total, (said.id or b"").decode())
