"""What counts where a model's YAML says nothing: LocalAI's defaults of today and of v2.8, and the whole folder's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config.model import Compat, ModelConfig, Profile

DEFAULT_SLOTS = 4
"""Requests that a text model runs at once."""

MAX_DEFAULT_CONTEXT = 8192
"""A model trained for 128k tokens gets its whole window only where its config asks for it (LocalAI's rule)."""

SAMPLING: Mapping[Profile, Mapping[str, Any]] = {
    "current": {"temperature": 0.9, "top_k": 40, "top_p": 0.95},
    # LocalAI v2.8 gave loaded YAML no defaults: Go's zeros went to llama.cpp, which means greedy decoding.
    "v2.8": {"temperature": 0.0, "top_k": 0, "top_p": 0.0, "seed": 0},
}
"""Whatever is not named is neutral. Unset keys of v2.8 also mean the whole trained window (`wants_trained_context`)."""


def sampling_defaults(config: ModelConfig) -> Mapping[str, Any]:
    """How tokens are chosen where neither the request nor `parameters:` says it, by `Sampling`'s names."""
    profile = SAMPLING[config.defaults or "current"]
    # `seed: -1` asks for chance, and is told from no seed at all only here.
    kept = {key: value for key, value in profile.items() if key not in config.parameters.model_fields_set}
    return kept | config.model_dump(include={"mirostat", "mirostat_tau", "mirostat_eta"}, exclude_none=True)


@dataclass(frozen=True)
class FolderDefaults:
    """Values for every config of a folder that sets none itself. `context_size` is for models that write text: what an
    embedding model can take is a matter of its weights."""

    threads: int | None = None
    context_size: int | None = None
    compat: Compat | None = None
    defaults: Profile | None = None

    def apply(self, config: ModelConfig) -> ModelConfig:
        wanted = {"threads": self.threads, "compat": self.compat, "defaults": self.defaults}
        if not config.embeddings and not config.trained_context:
            wanted["context_size"] = self.context_size
        unset = {key: value for key, value in wanted.items() if value is not None and getattr(config, key) is None}
        return config.model_copy(update=unset) if unset else config
