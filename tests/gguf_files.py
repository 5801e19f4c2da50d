"""Small files that begin as GGUF does."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_gguf(
    path: Path,
    architecture: str = "llama",
    *,
    kind: str | None = None,
    context: int = 2048,
    chat_template: str | None = None,
    pooling: gguf.PoolingType | None = None,
    tensors: int = 1,
) -> Path:
    """A whole header and almost no weights: no engine could load it."""
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_type(kind)
    writer.add_context_length(context)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    if chat_template:
        writer.add_chat_template(chat_template)
    for number in range(tensors):
        writer.add_tensor(f"blk.{number}.weight", np.ones((2, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
