"""The arithmetic of the roofline against figures computed by hand, and what a run makes of it."""

from __future__ import annotations

import pytest

from bench.plan.shapes import SHAPES, Shape, header_of
from bench.roofline.arithmetic import prompt_flops, step_bytes, weight_bytes_read
from bench.roofline.peaks import Peaks, measure_peaks
from core.gguf import GgufHeader, TensorInfo
from core.gguf.kv_cache import kv_bytes_per_token

SMALL = Shape("llama", 512, 64, 128, 2, 4, 2, 16, 1000)
"""Per layer 64 x 64 queries and output, 64 x 32 keys and values, 3 x 64 x 128 feed-forward, two norms."""
LAYER = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128
HEAD = 64 * 1000


def test_a_step_reads_all_but_the_embedding_table_and_the_cache_of_every_sequence() -> None:
    header = header_of(SMALL, "F16")
    weights = 2 * (2 * LAYER + HEAD) + 4 * (2 * 2 + 1) * 64
    assert weight_bytes_read(header) == weights
    assert kv_bytes_per_token(header) == 2 * 2 * (16 + 16) * 2
    assert step_bytes(header, batch=3, depth=100) == weights + 3 * 100 * kv_bytes_per_token(header)


def test_a_tied_table_is_the_output_matrix_and_is_read() -> None:
    tied = Shape("llama", 512, 64, 128, 2, 4, 2, 16, 1000, tied=True)
    assert weight_bytes_read(header_of(tied, "F16")) == weight_bytes_read(header_of(SMALL, "F16"))


def test_a_prompt_costs_two_operations_a_weight_and_attention_that_grows_with_its_square() -> None:
    header = header_of(SMALL, "F16")
    attention = 2 * 2 * 64 * 100
    assert prompt_flops(header, 100) == 100 * (2 * 2 * LAYER + attention) + 2 * HEAD


def test_a_batch_meets_more_experts_than_a_token_and_never_more_than_there_are() -> None:
    experts = TensorInfo("blk.0.ffn_up_exps.weight", (64, 64, 8), "F16", 0, 8000)
    metadata = {"general.architecture": "m", "m.expert_count": 8, "m.expert_used_count": 2}
    header = GgufHeader(3, metadata, {}, (experts,), 0)
    assert weight_bytes_read(header, 1) == pytest.approx(2000)
    assert weight_bytes_read(header, 2) == pytest.approx(8000 * (1 - 0.75**2))
    assert weight_bytes_read(header, 1000) == pytest.approx(8000)
    assert prompt_flops(header, 1) == pytest.approx(2 * 64 * 64 * 2)


@pytest.mark.parametrize(("name", "billions"), [("mistral-7b", 7.24), ("phi-2", 2.78), ("llama-3-8b", 8.03)])
def test_shapes_have_the_published_number_of_weights(name: str, billions: float) -> None:
    header = header_of(SHAPES[name], "F16")
    weights = sum(tensor.num_bytes / (4 if tensor.type == "F32" else 2) for tensor in header.tensors)
    assert weights / 1e9 == pytest.approx(billions, abs=0.005)


def test_a_q4_k_m_shape_has_the_size_of_the_published_file() -> None:
    """Mistral 7B in Q4_K_M is a file of 4.37 GB, phi-2 one of 1.79 GB, vocabularies included."""
    assert header_of(SHAPES["mistral-7b"], "Q4_K_M").weight_bytes == pytest.approx(4.37e9, rel=0.005)
    assert header_of(SHAPES["phi-2"], "Q4_K_M").weight_bytes == pytest.approx(1.79e9, rel=0.01)


def test_peaks_are_measured_in_bytes_and_operations_a_second() -> None:
    peaks = measure_peaks(1)
    assert isinstance(peaks, Peaks)
    assert peaks.read_bytes_s > 1e8
    assert peaks.flops_s > 1e8
