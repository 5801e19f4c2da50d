"""The KV cache by formula: against closed figures, and against what llama.cpp really sets aside."""

from __future__ import annotations

import ctypes
import logging
import re
from pathlib import Path

import llama_cpp.llama_cpp as lib
import pytest

from core.errors import ModelUnusable
from core.gguf import GgufHeader, read_header
from core.gguf.header import ArrayInfo, Scalar
from core.gguf.kv_cache import (
    CACHE_TYPES,
    KvLayout,
    cells_that_fit,
    kv_bytes_per_token,
    kv_cache_bytes,
    kv_layers,
    row_bytes,
)
from core.llama.context import ContextSettings, open_context
from core.llama.model import LlamaModel
from tests.random_gguf import write_windowed
from tests.tiny_llama import write_tiny_llama

MIB = 2**20


Arrays = dict[str, tuple[int, ...]]


def header(architecture: str = "llama", arrays: Arrays | None = None, **facts: Scalar) -> GgufHeader:
    """SmolLM2's shape where nothing else is said."""
    shape = {"block_count": 30, "embedding_length": 576, "attention__head_count": 9, "attention__head_count_kv": 3}
    metadata: dict[str, Scalar] = {"general.architecture": architecture}
    metadata |= {f"{architecture}.{key.replace('__', '.')}": value for key, value in (shape | facts).items()}
    listed = {f"{architecture}.{key}": ArrayInfo("u32", len(of), 0, of) for key, of in (arrays or {}).items()}
    return GgufHeader(3, metadata, listed, (), 0)


@pytest.mark.parametrize(
    ("cache_type", "mib"), [("F32", 360.0), ("F16", 180.0), ("BF16", 180.0), ("Q8_0", 95.625), ("Q4_0", 50.625)]
)
def test_smollm2_at_8192_takes_what_llama_cpp_was_seen_to_set_aside(cache_type: str, mib: float) -> None:
    assert kv_cache_bytes(header(), KvLayout(8192, key_type=cache_type, value_type=cache_type)) == mib * MIB


def test_keys_and_values_of_two_types_are_counted_apart() -> None:
    of_values = kv_cache_bytes(header(), KvLayout(8192, value_type="Q8_0"))
    assert of_values == (180.0 + 95.625) / 2 * MIB
    assert kv_bytes_per_token(header(), "F16", "Q8_0") * 8192 == of_values


@pytest.mark.parametrize(
    ("layout", "cells"),
    [
        (KvLayout(1000), 1024),
        (KvLayout(8192, seqs=4), 8192),
        (KvLayout(1500, seqs=4), 2048),
        (KvLayout(1500, seqs=4, unified=True), 1536),
    ],
)
def test_cells_are_rounded_up_to_256_for_each_stream(layout: KvLayout, cells: int) -> None:
    assert kv_cache_bytes(header(), layout) == cells * 22.5 * 1024


def test_without_flash_attention_values_are_as_wide_as_those_of_the_widest_layer() -> None:
    uneven = header(arrays={"attention.head_count_kv": (4, 0)}, block_count=2)
    assert kv_cache_bytes(uneven, KvLayout(256)) == 256 * 4 * (64 + 64) * 2
    assert kv_cache_bytes(uneven, KvLayout(256, flash_attention=False)) == 256 * (4 * (64 + 64) + 4 * 64) * 2


def test_quantized_values_need_flash_attention_and_whole_blocks() -> None:
    with pytest.raises(ModelUnusable, match="flash attention"):
        kv_cache_bytes(header(), KvLayout(256, flash_attention=False, value_type="Q8_0"))
    with pytest.raises(ModelUnusable, match="block of 32"):
        row_bytes(80, "Q8_0")
    phi = header(attention__key_length=80, attention__value_length=80, attention__head_count_kv=32)
    assert kv_cache_bytes(phi, KvLayout(256, flash_attention=False, key_type="Q8_0"))
    with pytest.raises(ModelUnusable, match="block of 32"):
        kv_cache_bytes(phi, KvLayout(256, key_type="Q8_0"))


def test_as_many_cells_are_found_as_fit() -> None:
    assert cells_that_fit(lambda n: n, 1000, most=4096) == 768
    assert cells_that_fit(lambda n: n, 10, most=4096) == 0
    assert cells_that_fit(lambda n: 0, 10, most=4097) == 4097


def test_windowed_layers_keep_window_and_pass_unless_the_window_is_full() -> None:
    gemma = header("gemma3", attention__sliding_window=512)
    windowed = [layer.window for layer in kv_layers(gemma)]
    assert windowed[:7] == [512, 512, 512, 512, 512, None, 512]
    assert windowed.count(None) == 5
    cell = 3 * (64 + 64) * 2
    small = KvLayout(8192, full_window=False)
    assert kv_cache_bytes(gemma, KvLayout(8192)) == 30 * 8192 * cell
    assert kv_cache_bytes(gemma, small) == (5 * 8192 + 25 * 1024) * cell
    pool = KvLayout(8192, seqs=4, unified=True, full_window=False)
    assert kv_cache_bytes(gemma, pool) == (5 * 8192 + 25 * (4 * 512 + 512)) * cell


def test_a_pattern_in_the_file_wins_over_the_architectures() -> None:
    stated = header("gemma3", {"attention.sliding_window_pattern": (1, 0)}, block_count=2, attention__sliding_window=64)
    assert [layer.window for layer in kv_layers(stated)] == [64, None]


def test_layers_of_another_width_shared_caches_latents_and_recurrent_layers() -> None:
    mixed = header("gemma4", {"attention.sliding_window_pattern": (1, 0, 1)}, **{
        "block_count": 3, "attention__sliding_window": 64, "attention__shared_kv_layers": 1,
        "attention__key_length": 512, "attention__value_length": 512,
        "attention__key_length_swa": 256, "attention__value_length_swa": 256,
    })  # fmt: skip
    assert [(layer.key, layer.value) for layer in kv_layers(mixed)] == [(768, 768), (1536, 1536), (0, 0)]
    latent = header("deepseek2", **{
        "block_count": 2, "attention__head_count_kv": 1, "attention__key_length": 576,
        "attention__value_length": 512, "attention__key_length_mla": 192, "nextn_predict_layers": 1,
    })  # fmt: skip
    assert kv_bytes_per_token(latent) == 576 * 2
    with pytest.raises(ModelUnusable, match="one type, not F16 and BF16"):
        kv_cache_bytes(latent, KvLayout(256, value_type="BF16"))
    hybrid = header("qwen3next", block_count=8, full_attention_interval=4)
    assert [layer.key > 0 for layer in kv_layers(hybrid)] == [False, False, False, True] * 2


def test_an_encoder_has_no_cache() -> None:
    assert kv_cache_bytes(header("bert", attention__causal=False), KvLayout(512)) == 0


def set_aside(path: Path, settings: ContextSettings, caplog: pytest.LogCaptureFixture) -> float:
    """MiB of KV cache by llama.cpp's own words, of all its parts."""
    model = LlamaModel(path)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "warmfn.llama"):
        lib.llama_free(ctypes.c_void_p(open_context(model, settings)))
    model.close()
    stated = re.findall(r"KV buffer size = +([\d.]+) MiB", caplog.text)
    assert stated
    return sum(map(float, stated))


def settings_of(layout: KvLayout) -> ContextSettings:
    return ContextSettings(
        num_cells=layout.cells,
        num_seqs=layout.seqs,
        unified=layout.unified,
        max_batch=layout.rows,
        micro_batch=layout.rows,
        threads=1,
        threads_batch=1,
        flash_attention="on" if layout.flash_attention else "off",
        cache_type_k=layout.key_type.lower(),
        cache_type_v=layout.value_type.lower(),
        swa_full=layout.full_window,
    )


@pytest.mark.parametrize("cache_type", CACHE_TYPES)
def test_every_type_takes_what_llama_cpp_sets_aside(
    cache_type: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tiny_llama(tmp_path / "w.gguf")
    layouts = [KvLayout(4096, key_type=cache_type, value_type=cache_type), KvLayout(4096, key_type=cache_type)]
    for layout in layouts:
        found = kv_cache_bytes(read_header(path), layout) / MIB
        assert found == pytest.approx(set_aside(path, settings_of(layout), caplog), abs=0.006)


@pytest.mark.parametrize("full_window", [True, False])
@pytest.mark.parametrize("unified", [True, False])
def test_a_window_takes_what_llama_cpp_sets_aside(
    full_window: bool, unified: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_windowed(tmp_path / "w.gguf")
    layout = KvLayout(8192, seqs=3, unified=unified, rows=64, full_window=full_window)
    model = LlamaModel(path)
    assert model.kv_cache_bytes(layout) == kv_cache_bytes(read_header(path), layout)
    model.close()
    found = kv_cache_bytes(read_header(path), layout) / MIB
    assert found == pytest.approx(set_aside(path, settings_of(layout), caplog), abs=0.012)


@pytest.mark.weights
def test_the_formula_is_what_llama_cpp_sets_aside(models_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    layouts = [KvLayout(8192, key_type=name, value_type=name) for name in ("F16", "Q8_0", "Q4_0")]
    layouts += [KvLayout(1000, seqs=3, flash_attention=False), KvLayout(1000, seqs=3, unified=True)]
    for layout in layouts:
        found = kv_cache_bytes(read_header(path), layout) / MIB
        assert found == pytest.approx(set_aside(path, settings_of(layout), caplog), abs=0.006)
