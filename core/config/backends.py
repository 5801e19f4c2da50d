"""Which of our engines serves a config: LocalAI's backend names, and for none the weights themselves."""

from __future__ import annotations

from typing import Literal

from core.config.model import ModelConfig
from core.config.problem import ConfigFault
from core.config.weight_files import folder_fault, gguf_fault

Backend = Literal["llama-text", "llama-embedding", "torch-embedding"]

_LLAMA = {"llama", "llama-cpp", "go-llama", "llama-stable", "llama-ggml", "bert-embeddings"}
_SENTENCE_TRANSFORMERS = {"sentencetransformers", "sentence-transformers", "huggingface-embeddings"}
_HUGGING_FACE = {"huggingface", "langchain-huggingface"}

_USE_GGUF = "pull this model as a GGUF file and say `backend: llama-cpp`"
_REMOVE = "remove this file, or rename it so that it does not end in .yaml"
_UNSERVED: dict[str, set[str]] = {
    f"is a GPU engine that is not built in: {_USE_GGUF}": {
        *("vllm", "sglang", "exllama", "exllama2", "autogptq", "mamba", "petals", "mlx", "tensorrt"),
    },
    f"is for weights from before GGUF, which are unsupported: {_USE_GGUF}": {
        *("gpt4all", "gpt4all-j", "gpt4all-mpt", "gpt4all-llama", "gptj", "gptneox", "gptneox-embeddings", "starcoder"),
        *("mpt", "replit", "dolly", "falcon", "falcon-ggml", "bloomz", "rwkv", "gpt2"),
    },
    f"is for audio, which is not served: {_REMOVE}": {
        *("whisper", "faster-whisper", "piper", "bark", "bark-cpp", "coqui", "vall-e-x", "parler-tts", "openvoice"),
        *("kokoro", "musicgen", "transformers-musicgen", "silero-vad", "outetts", "tts"),
    },
    f"is for images, which are not served: {_REMOVE}": {
        *("stablediffusion", "stablediffusion-ggml", "tinydream", "diffusers", "rfdetr"),
    },
    f"is for reranking, which is not served: {_REMOVE}": {"rerankers"},
}


def choose_backend(config: ModelConfig) -> Backend:
    """A folder of weights is sentence-transformers, a file is a GGUF. Raises ConfigFault naming what we lack."""
    name = config.backend or ("sentencetransformers" if config.weights.is_dir() else "llama-cpp")
    if name in _LLAMA or name.endswith("-llama-cpp") or name.startswith("llama-cpp-"):
        return "llama-embedding" if config.embeddings or name == "bert-embeddings" else "llama-text"
    if name in _SENTENCE_TRANSFORMERS or (name in _HUGGING_FACE and config.embeddings):
        return "torch-embedding"
    if name == "transformers":
        return _transformers(config)
    raise ConfigFault(config.place, "backend", f"{name!r} {_refusal(name)}")


def check_weights(config: ModelConfig) -> Backend:
    """The backend, once the weights are there and of the kind it takes. Loads nothing. Raises ConfigFault."""
    backend = choose_backend(config)
    path = config.weights
    fault = folder_fault(path) if backend == "torch-embedding" else gguf_fault(path)
    if fault:
        raise ConfigFault(config.place, "parameters.model", fault)
    return backend


def _transformers(config: ModelConfig) -> Backend:
    """Without a `type:` LocalAI's transformers backend embeds; with one of a causal model it writes text."""
    if config.type and config.type not in ("SentenceTransformer", "AutoModel"):
        raise ConfigFault(config.place, "type", f"{config.type!r} is not served with transformers: {_USE_GGUF}")
    return "torch-embedding"


def _refusal(name: str) -> str:
    if name in _HUGGING_FACE:
        return f"asks a remote service for text, which is not done here: {_USE_GGUF}"
    for words, names in _UNSERVED.items():
        if name in names:
            return words
    return "is not one of ours: use llama-cpp for GGUF files or sentencetransformers for folders"
