"""Which quantizations are fast on which CPU: llama.cpp's rules, and what they say of a file."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from core.gguf import GgufHeader, TensorInfo
from core.llama import kernels
from core.llama.kernels import advice, cpu_features, dominant_type, fast_types, slow_type, system_info
from tests.small_gguf import write_gguf

AVX2 = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | AVX512 = 0 | LLAMAFILE = 1 | REPACK = 1 | "
AMX = AVX2.replace("AVX512 = 0", "AVX512 = 1 | AVX512_VNNI = 1 | AMX_INT8 = 1")
GRAVITON = "CPU : NEON = 1 | ARM_FMA = 1 | DOTPROD = 1 | MATMUL_INT8 = 1 | LLAMAFILE = 1 | REPACK = 1 | "
OLD = "CPU : SSE3 = 1 | REPACK = 1 | "


def header(*tensors: tuple[str, str, tuple[int, ...], int]) -> GgufHeader:
    return GgufHeader(3, {}, {}, tuple(TensorInfo(n, shape, type, 0, size) for n, type, shape, size in tensors), 0)


@pytest.mark.parametrize(
    ("info", "type", "is_slow"),
    [
        (AVX2, "Q4_1", True),
        (AVX2, "Q4_0", False),
        (AVX2, "Q4_K", False),
        (AVX2, "Q6_K", True),
        (AVX2, "Q8_0", False),
        (AVX2, "F16", True),
        (AVX2, "IQ2_XXS", True),
        (AMX, "Q4_1", False),
        (AMX, "Q6_K", False),
        (AMX, "Q2_K", False),
        (AMX, "Q5_1", True),
        (GRAVITON, "Q8_0", False),
        (GRAVITON, "Q4_1", True),
        (OLD, "Q4_1", False),
    ],
)
def test_a_type_is_slow_where_this_cpu_has_a_kernel_for_others_only(info: str, type: str, is_slow: bool) -> None:
    file = header(("blk.0.ffn_up.weight", type, (32, 32), 1000))
    assert slow_type(file, cpu_features(info)) == (type if is_slow else None)


def test_features_are_those_that_are_there() -> None:
    assert cpu_features(AVX2) >= {"AVX2", "REPACK"}
    assert "AVX512" not in cpu_features(AVX2)
    assert fast_types(cpu_features(OLD)) == frozenset()
    assert cpu_features(system_info()), "llama.cpp names none any more, or in other words"


def test_the_table_of_embeddings_and_the_norms_do_not_make_a_type_dominant() -> None:
    file = header(
        ("token_embd.weight", "Q8_0", (32, 32), 5000),
        ("blk.0.attn_norm.weight", "F32", (32,), 9000),
        ("blk.0.ffn_up.weight", "Q4_1", (32, 32), 1000),
        ("blk.0.ffn_down.weight", "Q6_K", (32, 32), 900),
    )
    assert dominant_type(file) == "Q4_1"
    assert dominant_type(header()) is None


def test_advice_names_the_type_and_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(tmp_path / "w.gguf", pooling=gguf.PoolingType.NONE)  # float32 weights
    monkeypatch.setattr(kernels, "system_info", lambda: AVX2)
    assert "are F32" in (said := advice("m", path) or "")
    assert "`warmfn optimize m`" in said
    monkeypatch.setattr(kernels, "system_info", lambda: OLD)
    assert advice("m", path) is None
