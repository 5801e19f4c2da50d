"""Whole models of some hundred kilobytes with random weights: their text is noise, their memories are real ones."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, FEED_FORWARD, HEADS, KV_HEADS, CONTEXT = 64, 128, 4, 2, 512
WINDOW = 16


class _Writer(gguf.GGUFWriter):
    """One token for each byte, and three special ones."""

    def __init__(self, path: Path, architecture: str, num_layers: int) -> None:
        super().__init__(path, architecture)
        self._random = np.random.default_rng(1)
        self._tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        self.add_context_length(CONTEXT)
        self.add_embedding_length(WIDTH)
        self.add_block_count(num_layers)
        self.add_vocab_size(len(self._tokens))
        self.add_tokenizer_model("llama")
        self.add_token_list(self._tokens)
        self.add_token_scores([0.0] * len(self._tokens))
        normal, control, byte = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL, gguf.TokenType.BYTE
        self.add_token_types([normal, control, control, *[byte] * 256])
        self.add_add_space_prefix(False)
        self.add_bos_token_id(1)
        self.add_eos_token_id(2)
        self.add_unk_token_id(0)
        self.matrix("token_embd", len(self._tokens), WIDTH)
        self.vector("output_norm.weight", WIDTH)

    def matrix(self, name: str, rows: int, columns: int) -> None:
        values = self._random.standard_normal((rows, columns), dtype=np.float32)
        self.add_tensor(f"{name}.weight", values / np.float32(columns) ** 0.5)

    def vector(self, name: str, size: int, value: float = 1.0) -> None:
        self.add_tensor(name, np.full(size, value, np.float32))

    def finish(self) -> None:
        self.write_header_to_file()
        self.write_kv_data_to_file()
        self.write_tensors_to_file()
        self.close()


def write_windowed(path: Path) -> Path:
    """Four layers of Cohere 2, three of which look back WINDOW tokens."""
    writer = _Writer(path, "cohere2", 4)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_logit_scale(1.0)
    writer.add_sliding_window(WINDOW)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    for layer in (f"blk.{number}." for number in range(4)):
        writer.vector(f"{layer}attn_norm.weight", WIDTH)
        writer.matrix(f"{layer}attn_q", WIDTH, WIDTH)
        writer.matrix(f"{layer}attn_k", WIDTH * KV_HEADS // HEADS, WIDTH)
        writer.matrix(f"{layer}attn_v", WIDTH * KV_HEADS // HEADS, WIDTH)
        writer.matrix(f"{layer}attn_output", WIDTH, WIDTH)
        writer.matrix(f"{layer}ffn_gate", FEED_FORWARD, WIDTH)
        writer.matrix(f"{layer}ffn_up", FEED_FORWARD, WIDTH)
        writer.matrix(f"{layer}ffn_down", WIDTH, FEED_FORWARD)
    writer.finish()
    return path


def write_recurrent(path: Path) -> Path:
    """Two layers of Mamba, whose memory is one state."""
    inner, state, rank, kernel = 2 * WIDTH, 16, 4, 4
    writer = _Writer(path, "mamba", 2)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    for layer in (f"blk.{number}." for number in range(2)):
        writer.vector(f"{layer}attn_norm.weight", WIDTH)
        writer.matrix(f"{layer}ssm_in", 2 * inner, WIDTH)
        writer.matrix(f"{layer}ssm_conv1d", inner, kernel)
        writer.vector(f"{layer}ssm_conv1d.bias", inner, 0)
        writer.matrix(f"{layer}ssm_x", rank + 2 * state, inner)
        writer.matrix(f"{layer}ssm_dt", inner, rank)
        writer.vector(f"{layer}ssm_dt.bias", inner, 0)
        writer.add_tensor(f"{layer}ssm_a", -np.ones((inner, state), np.float32))
        writer.vector(f"{layer}ssm_d", inner)
        writer.matrix(f"{layer}ssm_out", WIDTH, inner)
    writer.finish()
    return path
