"""Which weights this CPU computes with kernels made for their type, as llama.cpp decides it when it loads a file.

From llama.cpp's sources, as of llama-cpp-python 0.3.36: ggml-cpu/amx/common.h (`qtype_has_amx_kernels`),
ggml-cpu/repack.cpp (`ggml_repack_get_optimal_repack_type`) and ggml-cpu/llamafile/sgemm.cpp (`llamafile_sgemm`).
Weights of any other type are unpacked row by row, again for every token of a batch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import llama_cpp.llama_cpp as lib

from core.gguf import GgufHeader, read_header
from core.llama.library import start_backend

AMX = frozenset({"Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})
REPACKED_AVX2 = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
REPACKED_AVX512 = frozenset({"Q2_K"})
REPACKED_NEON = frozenset({"Q4_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "Q1_0"})
TILED_AVX = frozenset({"Q8_0", "Q4_0", "Q5_0", "IQ4_NL"})
"""Left as they are, but multiplied tile by tile where several tokens are computed at once. So are F16 and F32, which
still are slow: a token reads two and four times the bytes of Q8_0."""


def system_info() -> str:
    """The processor features that this llama.cpp was compiled for, in its own words."""
    start_backend()
    return str(lib.llama_print_system_info(), "utf-8")


def cpu_features(info: str) -> frozenset[str]:
    """What `system_info` says is there: AVX2, AMX_INT8, REPACK, ..."""
    return frozenset(re.findall(r"(\w+) = 1\b", info))


def fast_types(features: Collection[str]) -> frozenset[str]:
    """Tensor types with kernels of their own on a CPU with these features."""
    found: set[str] = set()
    if {"AMX_INT8", "AVX512_VNNI"} <= set(features):
        found |= AMX
    if "REPACK" in features:
        found |= REPACKED_AVX2 if "AVX2" in features else frozenset()
        found |= REPACKED_AVX512 if "AVX512" in features else frozenset()
        found |= REPACKED_NEON if "DOTPROD" in features or "MATMUL_INT8" in features else frozenset()
    if {"LLAMAFILE", "AVX"} <= set(features):
        found |= TILED_AVX
    return frozenset(found)


def dominant_type(header: GgufHeader) -> str | None:
    """The type of most of the weights that a token is multiplied with; the table it is looked up in does not count."""
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        if len(tensor.shape) > 1 and not tensor.name.startswith("token_embd"):
            sizes[tensor.type] += tensor.num_bytes
    return sizes.most_common(1)[0][0] if sizes else None


def slow_type(header: GgufHeader, features: Collection[str]) -> str | None:
    """The dominant type of a file if this CPU has no fast kernel for it; None, too, where it has none for any type."""
    found, fast = dominant_type(header), fast_types(features)
    return found if found and fast and found not in fast else None


def advice(name: str, path: Path) -> str | None:
    """What to do about a GGUF file that this CPU computes slowly; None where its kernels fit. Raises ModelUnusable."""
    features = cpu_features(system_info())
    slow = slow_type(read_header(path), features)
    if slow is None:
        return None
    return (
        f"most of its weights are {slow}, which llama.cpp computes slowly on this CPU (fast are "
        f"{', '.join(sorted(fast_types(features)))}): `warmfn optimize {name}` measures what another form gains"
    )
