"""GGUF files of a few kilobytes: a whole header, a vocabulary of some tokens, weights that compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENS = ("<s>", "</s>", "hello", "<|im_start|>", "<|im_end|>")


def write_gguf(
    path: Path,
    architecture: str = "llama",
    *,
    template: str | None = CHATML,
    tokens: Sequence[str] = TOKENS,
    context: int = 32768,
    kind: str = "model",
    name: str = "A small model",
    pooling: gguf.PoolingType | None = None,
    has_weights: bool = True,
) -> Path:
    """Two layers of two kv heads, 8 wide: 128 bytes of cache for a token, and 512 bytes of weights (Q4_K_M by name)."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_name(name)
    writer.add_block_count(2)
    writer.add_context_length(context)
    writer.add_embedding_length(32)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_token_list(list(tokens))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    if template is not None:
        writer.add_chat_template(template)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    if has_weights:
        writer.add_tensor("output.weight", np.ones((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
