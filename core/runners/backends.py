"""Which runner serves a config: LocalAI's backend names, and for none the weights themselves."""

from __future__ import annotations

from typing import Literal

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.registry import Runner

Backend = Literal["llama-text", "llama-embedding", "torch-embedding"]

LLAMA = {"llama", "llama-cpp", "go-llama", "bert-embeddings"}
TORCH = {"sentencetransformers", "huggingface-embeddings", "huggingface", "transformers"}


def choose_backend(config: ModelConfig) -> Backend:
    """A folder of weights is sentence-transformers, a file is a GGUF. Raises ModelUnusable naming a backend we lack."""
    name = config.backend or ("sentencetransformers" if config.weights.is_dir() else "llama-cpp")
    if name in TORCH:
        return "torch-embedding"
    if name in LLAMA or name.endswith("llama-cpp") or name.startswith("llama-cpp-"):
        return "llama-embedding" if config.embeddings else "llama-text"
    raise ModelUnusable(
        f"{config.name}: backend {name!r} is not one of ours: use llama-cpp for GGUF files or sentencetransformers"
    )


def load_runner(config: ModelConfig) -> Runner:
    """Load the model; each library is imported only when a config needs it."""
    backend = choose_backend(config)
    if backend == "llama-text":
        from core.runners import text_llama

        return text_llama.load(config)
    if backend == "llama-embedding":
        from core.runners import embedding_llama

        return embedding_llama.load(config)
    from core.runners import embedding_torch

    return embedding_torch.load(config)
