from __future__ import annotations

from pathlib import Path

import pytest

from core.config.backends import check_weights, choose_backend
from core.config.model import ModelConfig
from core.config.problem import ConfigFault


def config(root: Path, **values: object) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": root, **values})


@pytest.mark.parametrize(
    ("values", "backend"),
    [
        ({"backend": "llama"}, "llama-text"),
        ({"backend": "Llama-CPP"}, "llama-text"),
        ({"backend": "llama-cpp-avx2", "embeddings": True}, "llama-embedding"),
        ({"backend": "cuda12-llama-cpp"}, "llama-text"),
        ({"backend": "bert-embeddings"}, "llama-embedding"),
        ({"backend": "sentencetransformers"}, "torch-embedding"),
        ({"backend": "huggingface-embeddings"}, "torch-embedding"),
        ({"backend": "huggingface", "embeddings": True}, "torch-embedding"),
        ({"backend": "transformers"}, "torch-embedding"),
        ({"backend": "transformers", "type": "SentenceTransformer"}, "torch-embedding"),
    ],
)
def test_localais_names_have_their_engines(tmp_path: Path, values: dict[str, object], backend: str) -> None:
    assert choose_backend(config(tmp_path, **values)) == backend


def test_without_a_name_the_weights_decide(tmp_path: Path) -> None:
    (tmp_path / "m").touch()
    assert choose_backend(config(tmp_path)) == "llama-text"
    assert choose_backend(config(tmp_path, embeddings=True)) == "llama-embedding"
    (tmp_path / "m").unlink()
    (tmp_path / "m").mkdir()
    assert choose_backend(config(tmp_path)) == "torch-embedding"


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"backend": "vllm"}, "backend", "GPU engine"),
        ({"backend": "gpt4all-j"}, "backend", "from before GGUF"),
        ({"backend": "whisper"}, "backend", "audio"),
        ({"backend": "diffusers"}, "backend", "images"),
        ({"backend": "rerankers"}, "backend", "reranking"),
        ({"backend": "langchain-huggingface"}, "backend", "remote service"),
        ({"backend": "../x"}, "backend", "not one of ours"),
        ({"backend": "transformers", "type": "AutoModelForCausalLM"}, "type", "not served with transformers"),
    ],
)
def test_an_engine_that_we_lack_is_named_with_a_remedy(
    tmp_path: Path, values: dict[str, object], key: str, words: str
) -> None:
    with pytest.raises(ConfigFault, match=words) as caught:
        choose_backend(config(tmp_path, **values))
    assert caught.value.key == key
    assert ": " in caught.value.reason


def test_weights_of_the_wrong_kind_are_found_without_loading_them(tmp_path: Path) -> None:
    (tmp_path / "bert.bin").write_bytes(b"lmgg")
    with pytest.raises(ConfigFault, match="came before GGUF") as caught:
        check_weights(config(tmp_path, backend="bert-embeddings", parameters={"model": "bert.bin"}))
    assert caught.value.key == "parameters.model"
