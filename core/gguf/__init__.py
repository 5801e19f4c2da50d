"""GGUF headers without llama.cpp: what a file of weights is, before anything of it is loaded.

Needs nothing but the standard library, reads the header only, and keeps none of the vocabulary's arrays. Whatever a
header says is checked, so a damaged or malicious file costs a ModelUnusable and a bounded amount of memory.
"""

from __future__ import annotations

from core.gguf.header import ArrayInfo, GgufHeader, TensorInfo
from core.gguf.parse import GGUF_MAGIC, GIT_LFS_MAGIC, iter_tokens, parse_header, read_header, token_texts

__all__ = [
    "GGUF_MAGIC",
    "GIT_LFS_MAGIC",
    "ArrayInfo",
    "GgufHeader",
    "TensorInfo",
    "iter_tokens",
    "parse_header",
    "read_header",
    "token_texts",
]
