"""What a YAML says of the KV cache and of positions reaches llama.cpp, and the packs that were made otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest

from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.engine.batch import Chunk
from core.llama.model import LlamaModel
from core.llama.rope import AS_TRAINED, Rope
from core.packer import make_packs
from core.runners.embedding_llama import load as load_embedding
from core.runners.text_llama import load
from tests.parity.forced import forced, logprobs, open_context
from tests.parity.test_parity import Saved
from tests.test_memories import TEXT, answered, config
from tests.tiny_llama import write_tiny_llama


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_llama(tmp_path / "w.gguf")
    return tmp_path


def packed(folder: Path, **values: Any) -> ModelConfig:
    return config(folder, kv="split", prefixes=[TEXT], context_size=512, **values)


@pytest.mark.parametrize("values", [{"cache_type_k": "q8_0"}, {"cache_type_k": "q4_0", "cache_type_v": "q5_1"}])
def test_a_pack_of_quantized_cells_is_read_back(folder: Path, values: dict[str, Any]) -> None:
    own = packed(folder, **values)
    [made] = make_packs(own)
    runner = load(own)
    fresh = answered(runner, f"{TEXT}?", 8)
    runner.engine.call(runner.engine._scheduler.slots.forget).result()
    runner.warm()
    packed_again = answered(runner, f"{TEXT}?", 8)
    assert (fresh.num_cached, packed_again.num_cached) == (0, len(made.pack.tokens))
    assert packed_again.tokens == fresh.tokens
    runner.close()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cache_type_k": "q8_0"}, "cache_type_k f16, and here it is q8_0"),
        ({"cache_type_v": "q8_0", "flash_attention": "on"}, "cache_type_v f16, and here it is q8_0"),
        ({"swa_full": False}, "swa_full True, and here it is False"),
        ({"rope_scaling": "yarn"}, "rope_scaling None, and here it is yarn"),
        ({"yarn_orig_ctx": 512}, "yarn_orig_ctx None, and here it is 512"),
        ({"parameters": {"model": "w.gguf", "rope_freq_scale": 0.5}}, "rope_freq_scale None, and here it is 0.5"),
    ],
)
def test_a_pack_of_another_cache_is_stale_and_the_key_is_named(
    folder: Path, values: dict[str, Any], reason: str
) -> None:
    list(make_packs(packed(folder, flash_attention=values.get("flash_attention"))))
    runner = load(packed(folder, **values))
    runner.warm()
    assert any(f"stale, it was made with {reason}" in problem.message for problem in runner.problems)
    assert answered(runner, TEXT).num_cached <= 1
    runner.close()


@pytest.mark.parametrize("unified", [True, False])
def test_cells_go_to_a_context_of_more_ids_only_where_ids_share_a_pool(folder: Path, unified: bool) -> None:
    """So a pack of caches of their own is tied to `slots`: llama.cpp refuses what was saved from more or fewer."""
    model = LlamaModel(folder / "w.gguf")
    tokens = list(range(3, 103))
    text = forced([*tokens, 7], 1)
    with open_context(model, unified=unified, num_seqs=4) as context:
        [fresh] = logprobs(context, [Chunk(text, 0, 101, True)])
        context.keep(1, 100)
        saved = Saved(tokens, context.save(1))
    with open_context(model, unified=unified, num_seqs=6) as context:
        logprobs(context, [Chunk(forced(tokens, 0), 0, 100, True)])
        assert context.restore(5, saved) == unified
        if unified:
            context.copy(5, 1, 100)
            [restored] = logprobs(context, [Chunk(text, 100, 101, True)])
            assert np.abs(fresh - restored).max() < 1e-2
    model.close()


def test_values_that_need_flash_attention_switch_it_on_and_that_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "warmfn.text"):
        load(config(folder, cache_type_v="q8_0")).close()
    assert "m: flash attention is on: values of q8_0 (cache_type_v) are read in no other way" in caplog.text


def test_rope_is_llama_cpps_default_where_nothing_is_said() -> None:
    params, default = lib.llama_context_default_params(), lib.llama_context_default_params()
    AS_TRAINED.set(params)
    assert bytes(params) == bytes(default)


def test_every_key_of_rope_reaches_llama_cpp() -> None:
    values = {"yarn_ext_factor": 0.5, "yarn_attn_factor": 2, "yarn_beta_fast": 16, "yarn_beta_slow": 4}
    frequencies = {"rope_freq_base": 5e5, "rope_freq_scale": 0.25}
    known = {"name": "m", "root": "x", "rope_scaling": "yarn", "yarn_orig_ctx": 512, "parameters": frequencies}
    rope = Rope.of(ModelConfig.model_validate(known | values))
    params = lib.llama_context_default_params()
    rope.set(params)
    assert params.rope_scaling_type == lib.LLAMA_ROPE_SCALING_TYPE_YARN
    for key, value in (values | frequencies | {"yarn_orig_ctx": 512}).items():
        assert getattr(params, key) == value


def test_positions_are_scaled_unless_scaling_is_none(folder: Path) -> None:
    texts = []
    for scaling in (None, "none", "linear", "yarn"):
        scale = {"rope_freq_scale": 0.25} if scaling else {}
        runner = load(config(folder, rope_scaling=scaling, parameters={"model": "w.gguf", **scale}))
        texts.append(tuple(answered(runner, TEXT, 12).tokens))
        runner.close()
    plain, none, linear, yarn = texts
    assert none == plain
    assert len({plain, linear, yarn}) == 3


def test_positions_are_scaled_in_vectors_too_and_they_say_so(folder: Path) -> None:
    vectors = []
    for scale in (0.0, 0.25):
        parameters = {"model": "w.gguf", "rope_freq_scale": scale}
        runner = load_embedding(config(folder, embeddings=True, options=["pooling:last"], parameters=parameters))
        vectors.append(runner.embed(["the order of words"]).result().vectors)
        assert runner.facts.get("rope_freq_scale") == (str(scale) if scale else None)
        runner.close()
    assert not np.allclose(*vectors, atol=1e-3)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("embeddings: true\ncache_type_k: q8_0\n", "m.yaml:4: cache_type_k: no effect on a model that embeds: remove"),
        ("rope_scaling: yarn\nyarn_attn_factor: 2\n", "m.yaml:4: yarn_attn_factor: no effect, llama.cpp computes it"),
        ("flash_attention: off\ncache_type_v: q8_0\n", "m.yaml:4: cache_type_v: q8_0 needs flash attention"),
        ("cache_type_v: q8\n", "m.yaml:3: cache_type_v: 'q8' is not known: give 'f32', 'f16'"),
    ],
)
def test_keys_that_do_not_go_together_are_named_by_line(folder: Path, yaml: str, message: str) -> None:
    (folder / "m.yaml").write_text(f"name: m\nparameters: {{model: w.gguf}}\n{yaml}")
    assert any(message in str(problem) for problem in read_folder(folder).problems)
