"""Forms of one text model: its GGUF in other quantizations, each in a file named after its own."""

from __future__ import annotations

import re
from pathlib import Path

from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.errors import StoreError
from core.gguf import GgufHeader, read_header
from core.store.progress import Progress, silent


def text_weights(config: ModelConfig) -> Path:
    """The GGUF of a text model; raises StoreError for any other."""
    if check_weights(config) != "llama-text":
        raise StoreError(f"{config.name} is no text model in a GGUF file: only such have other forms")
    return config.weights


def form_name(source: Path, type: str) -> str:
    """What the form of `source` is called: `model.Q4_K_M.gguf` -> `model.Q8_0.gguf`."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", source.stem)
    bare = re.sub(r"[.-](I?Q\d\w*|B?F(16|32))$", "", stem, flags=re.IGNORECASE)
    return f"{bare}.{type}.gguf"


def make_form(source: Path, target: Path, type: str, on_progress: Progress = silent) -> bool:
    """Let `target` be the form of `source` that is of `type`; False if it is that already.

    Raises StoreError where it cannot be made, or where the file that is there is another one.
    """
    if not target.exists():
        from core.llama.quantize import quantize

        quantize(source, target, type, on_progress)
        return True
    if not _is_form_of(read_header(source), read_header(target), type):
        raise StoreError(f"{target} is there already and is no {type} of {source.name}: move it away")
    return False


def _is_form_of(header: GgufHeader, other: GgufHeader, type: str) -> bool:
    def shapes(header: GgufHeader) -> dict[str, tuple[int, ...]]:
        return {tensor.name: tensor.shape for tensor in header.tensors}

    return other.quant == type and shapes(other) == shapes(header)
