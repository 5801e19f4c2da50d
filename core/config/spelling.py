"""Keys that nobody reads: what their author probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from core.config.document import KeyPath
from core.config.function import Function
from core.config.model import ModelConfig, Template
from core.config.notices import UNSERVED
from core.config.parameters import Parameters

INTERNAL = frozenset({"root", "source", "templates", "trained_context", "weights_state"})
"""Fields of a config that its YAML cannot set."""

_SECTIONS: dict[str, type[BaseModel]] = {"parameters": Parameters, "template": Template, "function": Function}

_MEANT = {
    "cutwords": "cutstrings",
    "stop": "stopwords",
    "stop_words": "stopwords",
    "n_ctx": "context_size",
    "ctx_size": "context_size",
    "n_gpu_layers": "gpu_layers",
    "ngl": "gpu_layers",
    "n_threads": "threads",
    "usecases": "known_usecases",
    "prompt_template": "template",
}
"""Mistakes seen in files in circulation that share too few letters with what was meant."""

_LEFT_ALONE = {
    *("description", "license", "urls", "url", "icon", "tags", "usage", "asset_dir", "size", "gallery", "overrides"),
    *("files", "config_file", "prompt_templates", "asset_name", "id"),
}
"""Keys that only describe; those of the gallery's are read before (`core.config.gallery`)."""


def misspelt_keys(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """(path, what to do) for every key that does nothing and is close to one that would, or in the wrong place."""
    yield from _in_section((), config, ModelConfig)
    for name, model in _SECTIONS.items():
        if isinstance(section := config.get(name), Mapping):
            yield from _in_section((name,), section, model)


def has_known_key(config: Mapping[str, Any]) -> bool:
    """Whether any key says that this map is a model's config."""
    return any(key in _known((), ModelConfig) for key in config)


def _in_section(place: KeyPath, section: Mapping[str, Any], model: type[BaseModel]) -> Iterator[tuple[KeyPath, str]]:
    known = _known(place, model)
    for key in section:
        if key not in known and key not in _LEFT_ALONE and (meant := _meant(key, place, known)):
            yield (*place, key), f"there is no such key and it does nothing: did you mean {meant}?"


def _meant(key: str, place: KeyPath, known: set[str]) -> str | None:
    plain = key.replace("-", "_").lower()
    if meant := _MEANT.get(plain):
        return f"`{meant}`" if not place else f"`{meant}` at the top level"
    if place and plain in _known((), ModelConfig):
        return f"`{plain}` at the top level"
    if place != ("parameters",) and plain in _known(("parameters",), Parameters):
        return f"`{plain}` below `parameters`"
    squeezed = {name.replace("_", ""): name for name in known}
    close = difflib.get_close_matches(plain.replace("_", ""), squeezed, n=1, cutoff=0.85)
    return f"`{squeezed[close[0]]}`" if close else None


def _known(place: KeyPath, model: type[BaseModel]) -> set[str]:
    prefix = ".".join([*map(str, place), ""])
    unserved = {
        key.removeprefix(prefix)
        for keys in UNSERVED.values()
        for key in keys
        if key.startswith(prefix) and "." not in key.removeprefix(prefix)
    }
    return (model.model_fields.keys() - INTERNAL) | {key for key in unserved if "*" not in key}
