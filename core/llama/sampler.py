"""A sequence's own C sampler chain: its penalties, its truncation, its seed."""

from __future__ import annotations

import ctypes
import secrets

import llama_cpp.llama_cpp as lib
import numpy as np

from core.engine.sequence import Sampling
from core.llama.model import LlamaModel

MIROSTAT_CANDIDATES = 100
"""Tokens from which the first mirostat estimates how the probabilities fall; llama.cpp's own number."""


class Sampler:
    """Owns one `llama_sampler` chain until `close`.

    Order as in llama.cpp's server: logit bias, penalties, top-k, typical-p, top-p, min-p, temperature, draw. Mirostat
    stands for everything after the penalties but the temperature; a temperature of 0 is greedy with it too.
    """

    def __init__(self, sampling: Sampling, model: LlamaModel, prompt: list[int]) -> None:
        self._num_vocab = model.num_vocab
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._greedy = sampling.temperature <= 0
        self._plain = self._greedy
        if sampling.logit_bias:
            self._add_bias(sampling.logit_bias)
        penalties = (sampling.repeat_penalty, sampling.presence_penalty, sampling.frequency_penalty)
        if penalties != (1.0, 0.0, 0.0) and sampling.repeat_last_n:
            self._add_penalties(sampling, prompt)
        if self._greedy:
            self._add(lib.llama_sampler_init_greedy())
        elif sampling.mirostat:
            self._add_mirostat(sampling)
        else:
            self._add_draw(sampling)

    def close(self) -> None:
        if self._chain:
            lib.llama_sampler_free(self._chain)
            self._chain = None

    def sample(self, context: int, row: int) -> int:
        """The next token from the logits of batch row `row`, accepted into the chain's history."""
        if self._plain:  # a greedy pick needs no table of candidates, which for 150,000 tokens takes 0.2 ms to fill
            logits = lib.llama_get_logits_ith(context, row)
            return int(np.ctypeslib.as_array(logits, (self._num_vocab,)).argmax())
        return int(lib.llama_sampler_sample(self._chain, context, row))

    def _add(self, sampler: int) -> None:
        lib.llama_sampler_chain_add(self._chain, sampler)

    def _add_bias(self, logit_bias: tuple[tuple[int, float], ...]) -> None:
        entries = (lib.llama_logit_bias * len(logit_bias))(*logit_bias)
        self._add(lib.llama_sampler_init_logit_bias(self._num_vocab, len(logit_bias), entries))
        self._plain = False

    def _add_penalties(self, sampling: Sampling, prompt: list[int]) -> None:
        last_n = sampling.repeat_last_n
        penalties = lib.llama_sampler_init_penalties(
            self._num_vocab, last_n, sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty
        )
        self._add(penalties)
        for token in prompt[-last_n:]:
            lib.llama_sampler_accept(penalties, token)
        self._plain = False

    def _add_draw(self, sampling: Sampling) -> None:
        self._add(lib.llama_sampler_init_top_k(sampling.top_k))
        self._add(lib.llama_sampler_init_typical(sampling.typical_p, 1))
        self._add(lib.llama_sampler_init_top_p(sampling.top_p, 1))
        self._add(lib.llama_sampler_init_min_p(sampling.min_p, 1))
        self._add(lib.llama_sampler_init_temp(sampling.temperature))
        self._add(lib.llama_sampler_init_dist(_seed(sampling)))

    def _add_mirostat(self, sampling: Sampling) -> None:
        self._add(lib.llama_sampler_init_temp(sampling.temperature))
        seed, tau, eta = _seed(sampling), sampling.mirostat_tau, sampling.mirostat_eta
        if sampling.mirostat == 1:
            self._add(lib.llama_sampler_init_mirostat(self._num_vocab, seed, tau, eta, MIROSTAT_CANDIDATES))
        else:
            self._add(lib.llama_sampler_init_mirostat_v2(seed, tau, eta))


def _seed(sampling: Sampling) -> int:
    seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
    return ctypes.c_uint32(seed).value
