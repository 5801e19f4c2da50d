"""A config -> its warm runner's making: each library is imported only when a config needs it."""

from __future__ import annotations

from core import coldstart
from core.config.backends import check_weights
from core.config.model import ModelConfig
from core.loader import Runner


def load_runner(config: ModelConfig) -> Runner:
    """Load the model. Raises ModelUnusable, before anything is loaded where the files show that it cannot work."""
    backend = check_weights(config)
    if backend == "llama-text":
        with coldstart.phase("libraries"):
            from core.runners import text_llama

        return text_llama.load(config)
    if backend == "llama-embedding":
        with coldstart.phase("libraries"):
            from core.runners import embedding_llama

        return embedding_llama.load(config)
    from core.runners import embedding_torch

    return embedding_torch.load(config)
