"""GGUF embedding models, computed by llama.cpp."""

from __future__ import annotations

from core import coldstart
from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.host import available_cpus
from core.llama.embedder import POOLINGS, LlamaEmbedder
from core.llama.model import open_model
from core.llama.rope import Rope
from core.runners.embedding import EmbeddingRunner, longest_input
from core.runners.gpu import embedding_batch


def load(config: ModelConfig) -> EmbeddingRunner:
    """Vectors have length 1 unless the YAML says `normalize: false`. Raises ModelUnusable."""
    pooling = configured_pooling(config)
    with coldstart.phase("weights"):
        model = open_model(config)
    try:
        trained = model.context_train
        backend = LlamaEmbedder(
            model,
            max_tokens=longest_input(config.name, asked=config.context_size, own=trained, bound=trained),
            batch_tokens=embedding_batch(config.parameters.batch, on_gpu=model.is_offloaded),
            pooling=pooling,
            num_threads=config.threads or available_cpus(),
            flash_attention=config.flash_attention or "auto",
            rope=Rope.of(config),
        )
    except ModelUnusable:
        model.close()
        raise
    normalize = config.normalize is not False
    calibrates = config.parameters.batch is None and not model.is_offloaded
    return EmbeddingRunner(config.name, backend, normalize=normalize, max_queue=config.max_queue, calibrates=calibrates)


def configured_pooling(config: ModelConfig) -> str | None:
    """`options: ["pooling:last"]`, for a file whose header names none."""
    named = [value for key, _, value in (option.partition(":") for option in config.options) if key == "pooling"]
    if named and named[-1] not in POOLINGS:
        raise ModelUnusable(f"{config.name}: pooling {named[-1]!r} is not one of {', '.join(POOLINGS)}")
    return named[-1] if named else None
