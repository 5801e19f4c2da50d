"""The file whose quantizations are measured: what it is, what can be made of it, and whether this host has the room."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.deployment import read_config
from bench.errors import BenchError
from core.config.weight_files import gguf_fault
from core.forms import form_name, text_weights
from core.gguf import GgufHeader, read_header
from core.gguf.estimate import estimated_bytes
from core.gguf.kv_cache import KvLayout, kv_cache_bytes
from core.host import available_memory
from core.store.disk import require_room


def find_source(model: str, models: Path) -> tuple[str, Path]:
    """Its name, and the one GGUF that holds all of it: a file, or a model of the folder. Raises CoreError."""
    file = Path(model)
    if file.suffix == ".gguf" and file.is_file():
        name, path = file.name, file
    else:
        config = read_config(models, model)
        name, path = config.name, text_weights(config)
    if fault := gguf_fault(path):
        raise BenchError(fault)
    header = read_header(path)
    if header.is_embedding or header.kind != "model":
        raise BenchError(f"{path.name} writes no text: only such models have speeds and a perplexity")
    if (parts := header.integer("split.count") or 1) > 1:
        raise BenchError(f"{path.name} is one of {parts} parts: join them with llama.cpp's `llama-gguf-split --merge`")
    return name, path


def wanted_types(source: Path, types: list[str]) -> list[str]:
    """Those that another file can be made of, each once. Raises CoreError for a name that is no type, and where the
    original is all that was named."""
    header = read_header(source)
    for type in types:
        estimated_bytes(header, type)
    others = [type for type in dict.fromkeys(types) if type != header.quant]
    if not others:
        raise BenchError(f"{source.name} is {header.quant} already: give another type with --to")
    return others


def require_space(source: Path, types: list[str], folder: Path, sequences: int) -> int:
    """The bytes that the forms which are not in `folder` yet will take. Raises CoreError where they have no room there,
    or the largest no room in memory beside the cache or, as for its quality, beside the original."""
    header = read_header(source)
    sizes = {type: estimated_bytes(header, type) for type in types}
    needed = sum(size for type, size in sizes.items() if not (folder / form_name(source, type)).exists())
    require_room(folder, needed)
    held = max(sizes.values()) + max(header.weight_bytes, cache_bytes(header, sequences))
    free = available_memory()
    if free is not None and held > free:
        raise BenchError(
            f"measuring takes {held >> 20} MiB of memory and {free >> 20} are free: free some, or give smaller types "
            "with --to or fewer --sequences"
        )
    return needed


def cache_bytes(header: GgufHeader, sequences: int) -> int:
    """Of the context that they are timed in."""
    from core.llama.attention import flash_attention
    from core.llama.rates import STREAM_CELLS

    uses_flash = flash_attention(None) != "off"
    return kv_cache_bytes(header, KvLayout(sequences * STREAM_CELLS, seqs=sequences, flash_attention=uses_flash))


def mixture(header: GgufHeader) -> dict[str, float]:
    """The types of the weights that a token is multiplied with, each with its share of their bytes, largest first. The
    table that it is looked up in counts where it is the output matrix, too."""
    has_output = any(tensor.name == "output.weight" for tensor in header.tensors)
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        if len(tensor.shape) > 1 and not (has_output and tensor.name == "token_embd.weight"):
            sizes[tensor.type] += tensor.num_bytes
    return {type: size / sizes.total() for type, size in sizes.most_common()}
