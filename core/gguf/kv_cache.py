"""The KV cache that llama.cpp sets aside for a model, to the byte, told from its header (llama.cpp of llama-cpp-python
0.3.36: `llama-kv-cache.cpp`, `llama-kv-cache-iswa.cpp`, `create_memory` in `llama-model.cpp`).

One cell of one layer takes `kv heads x key width` values of the key's type and `kv heads x value width` of the value's;
SmolLM2 at f16: 30 layers x 3 heads x (64 + 64) x 2 bytes = 22.5 KiB. Not counted: the state of recurrent layers, which
is a constant for each sequence, and the indexer caches of sparse attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import ModelUnusable
from core.gguf.header import GgufHeader
from core.gguf.quants import TENSOR_TYPES

CELL_PADDING = 256
CACHE_TYPES = ("F32", "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "IQ4_NL")
"""What llama.cpp's command line accepts for keys and values."""

_BLOCKS = {name: (values, num_bytes) for name, values, num_bytes in TENSOR_TYPES.values()}
_GEMMA3N_OWN_CACHES = 20
_WINDOW_PERIODS = {
    **{"afmoe": 4, "cohere2": 4, "exaone-moe": 4, "exaone4": 4, "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2},
    **{"llama4": 4, "mellum": 4, "olmo2": 4, "plamo3": 8},
}
"""Architecture -> every how many layers one keeps everything, where the file does not say."""


@dataclass(frozen=True)
class KvLayer:
    """Values in one cell of a layer; the layer keeps the last `window` tokens only, or all where that is None."""

    key: int
    value: int
    window: int | None = None


@dataclass(frozen=True)
class KvLayout:
    """How a context lays out its cache: `cells` for `seqs` sequence ids, `unified` in one pool or else an equal part
    for each. Without flash attention values lie transposed, all layers as wide as the widest. `rows` are computed in
    one pass. With `full_window`, which is what llama.cpp's library does, windowed layers keep everything too."""

    cells: int
    seqs: int = 1
    unified: bool = False
    flash_attention: bool = True
    key_type: str = "F16"
    value_type: str = "F16"
    rows: int = 512
    full_window: bool = True


def kv_cache_bytes(header: GgufHeader, layout: KvLayout) -> int:
    """Raises ModelUnusable where this model cannot have such a cache."""
    _require_possible(header, layout)
    layers = kv_layers(header)
    widest = max((layer.value for layer in layers), default=0)
    streams, cells = padded_cells(layout.cells, layout.seqs, unified=layout.unified)
    total = 0
    for layer in layers:
        value = layer.value if layout.flash_attention else widest
        kept = _kept_cells(layer, cells, layout)
        total += kept * (row_bytes(layer.key, layout.key_type) + row_bytes(value, layout.value_type))
    return streams * total


def cells_that_fit(bytes_of: Callable[[int], int], room: int, *, most: int) -> int:
    """`most`, or the largest multiple of CELL_PADDING below it, whose bytes fit in `room`; 0 if none does."""
    if bytes_of(most) <= room:
        return most
    low, high = 0, most // CELL_PADDING
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bytes_of(middle * CELL_PADDING) <= room else (low, middle - 1)
    return low * CELL_PADDING


def padded_cells(cells: int, seqs: int, *, unified: bool) -> tuple[int, int]:
    """(streams, cells of each) as llama.cpp rounds them up."""
    if unified:
        return 1, _padded(cells)
    return seqs, _padded(_padded(cells) // seqs)


def kv_bytes_per_token(header: GgufHeader, key_type: str = "F16", value_type: str = "F16") -> int:
    """Bytes of one cell in all layers, as if each kept everything; 0 where there is no attention or where texts are
    only embedded, since encoders have no cache."""
    return sum(layer_cell_bytes(header, key_type, value_type))


def layer_cell_bytes(header: GgufHeader, key_type: str = "F16", value_type: str = "F16") -> tuple[int, ...]:
    """The same for each layer."""
    return tuple(row_bytes(layer.key, key_type) + row_bytes(layer.value, value_type) for layer in kv_layers(header))


def row_bytes(values: int, type_name: str) -> int:
    """Of `values` numbers side by side. Raises ModelUnusable where they do not fill whole blocks of the type."""
    block, num_bytes = _BLOCKS[type_name]
    if values % block:
        raise ModelUnusable(f"{values} values are no multiple of {type_name}'s block of {block}: use F16 for the cache")
    return values // block * num_bytes


def kv_layers(header: GgufHeader) -> tuple[KvLayer, ...]:
    """Every layer's part, all zero where it has none; () for an encoder."""
    if header.of_architecture("attention.causal", bool) is False:
        return ()
    return tuple(_layers(header))


def _require_possible(header: GgufHeader, layout: KvLayout) -> None:
    """What llama.cpp refuses (`llama_init_from_model`)."""
    if not layout.flash_attention and _BLOCKS[layout.value_type][0] > 1:
        raise ModelUnusable(f"values of type {layout.value_type} need flash attention: switch it on, or use F16")
    if layout.flash_attention:  # which reads each head by itself
        row_bytes(header.key_length or 0, layout.key_type)
        row_bytes(header.value_length or 0, layout.value_type)
    if _has_latents(header) and layout.key_type != layout.value_type:
        types = f"{layout.key_type} and {layout.value_type}"
        raise ModelUnusable(f"one latent is both key and value: give the cache one type, not {types}")


def _has_latents(header: GgufHeader) -> bool:
    """Whether one latent of each token serves as key and value."""
    return header.of_architecture("attention.key_length_mla", int) is not None


def _layers(header: GgufHeader) -> Iterator[KvLayer]:
    heads = header.kv_heads
    own_caches = _own_caches(header, len(heads))
    windows = _windows(header, len(heads))
    key, value = header.key_length or 0, header.value_length or 0
    key_swa = header.of_architecture("attention.key_length_swa", int) or key
    value_swa = header.of_architecture("attention.value_length_swa", int) or value
    if _has_latents(header):
        value = value_swa = 0
    for index, (count, window) in enumerate(zip(heads, windows, strict=True)):
        if index >= own_caches or not _attends(header, index):
            yield KvLayer(0, 0)
        elif window:
            yield KvLayer(count * key_swa, count * value_swa, window)
        else:
            yield KvLayer(count * key, count * value)


def _own_caches(header: GgufHeader, num_layers: int) -> int:
    """Layers from the first on that have a cache: the last ones may read that of others, or only predict further."""
    if header.architecture == "gemma3n":
        return _GEMMA3N_OWN_CACHES
    shared = header.of_architecture("attention.shared_kv_layers", int) or 0
    return num_layers - shared - (header.of_architecture("nextn_predict_layers", int) or 0)


def _attends(header: GgufHeader, index: int) -> bool:
    """Where only every n-th layer attends, the others are recurrent."""
    interval = header.of_architecture("full_attention_interval", int)
    return interval is None or (index + 1) % interval == 0


def _windows(header: GgufHeader, num_layers: int) -> tuple[int | None, ...]:
    """Of each layer, as `set_swa_pattern` deals them out: the last of every period keeps everything."""
    window = header.of_architecture("attention.sliding_window", int)
    pattern = header.per_layer_values("attention.sliding_window_pattern")
    period = header.of_architecture("attention.sliding_window_pattern", int) or _WINDOW_PERIODS.get(header.architecture)
    if not window or (pattern is None and period is None):
        return (None,) * num_layers
    windowed = pattern or [index % (period or 1) < (period or 1) - 1 for index in range(num_layers)]
    return tuple(window if is_windowed else None for is_windowed in windowed[:num_layers])


def _kept_cells(layer: KvLayer, cells: int, layout: KvLayout) -> int:
    if layer.window is None or layout.full_window:
        return cells
    wanted = layer.window * (layout.seqs if layout.unified else 1) + layout.rows
    return _padded(min(cells, wanted))


def _padded(cells: int) -> int:
    return -(-cells // CELL_PADDING) * CELL_PADDING
