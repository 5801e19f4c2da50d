"""GGUF embedding models, computed by llama.cpp."""

from __future__ import annotations

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.host import available_cpus
from core.llama.embedder import POOLINGS, LlamaEmbedder
from core.llama.model import open_model
from core.runners.embedding import EmbeddingRunner, longest_input

BATCH_TOKENS = 512
"""llama.cpp computes attention between all tokens of a batch and then masks it, so a large batch of short texts is
slower than several small ones: on 2 cores 47-52 texts/s against 31 with 2048."""


def load(config: ModelConfig) -> EmbeddingRunner:
    """Vectors have length 1 unless the YAML says `normalize: false`. Raises ModelUnusable."""
    pooling = configured_pooling(config)
    model = open_model(config)
    try:
        trained = model.context_train
        backend = LlamaEmbedder(
            model,
            max_tokens=longest_input(config.name, asked=config.context_size, own=trained, bound=trained),
            batch_tokens=config.parameters.batch or BATCH_TOKENS,
            pooling=pooling,
            num_threads=config.threads or available_cpus(),
            flash_attention=config.flash_attention or "auto",
        )
    except ModelUnusable:
        model.close()
        raise
    normalize = config.normalize is not False
    return EmbeddingRunner(config.name, backend, normalize=normalize, max_queue=config.max_queue)


def configured_pooling(config: ModelConfig) -> str | None:
    """`options: ["pooling:last"]`, for a file whose header names none."""
    named = [value for key, _, value in (option.partition(":") for option in config.options) if key == "pooling"]
    if named and named[-1] not in POOLINGS:
        raise ModelUnusable(f"{config.name}: pooling {named[-1]!r} is not one of {', '.join(POOLINGS)}")
    return named[-1] if named else None
