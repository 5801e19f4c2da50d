"""What a file says that is accepted but does not do what its author may expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from core.config.document import KeyPath
from core.config.scalars import to_float, to_list

UNSERVED: dict[str, tuple[str, ...]] = {
    "not built yet, the model generates by itself: remove it": ("draft_model", "n_draft"),
    "not built yet, the model is served without it: merge the adapter into the weights": ("lora_*",),
    "not built yet, only text is served: send no images": ("mmproj",),
    "not built yet, output is not constrained: ask for the form in the prompt": ("grammar",),
    "not built yet, requests with tools are refused: send none": ("function",),
    "not built yet, threads run where the system puts them: remove it": ("numa",),
    "not carried out, a prompt that is too long is refused and never cut: shorten prompts": ("parameters.n_keep",),
    "not carried out, each request gives one answer: send several": ("parameters.n",),
    "not carried out, llama.cpp has no such sampler: remove it": ("parameters.tfz", "parameters.negative_prompt*"),
    "no effect, llama.cpp has no such setting any more: remove it": (
        *("low_vram", "no_mulmatq", "ngqa", "rms_norm_eps"),
    ),
    "for other engines than llama.cpp, does nothing here: remove it": (
        *("quantization", "dtype", "gpu_memory_utilization", "max_model_len", "tensor_parallel_size", "enforce_eager"),
        *("trust_remote_code", "swap_space", "disable_log_stats", "load_format", "limit_mm_per_prompt", "engine_args"),
        *("cuda", "parameters.tokenizer"),
    ),
    "not carried out, the model is served: rename the file so that it does not end in .yaml": ("disabled",),
    "not carried out, a model answers to its own name: write that into `name`": ("alias",),
    "for LocalAI's image, audio and agent models, which are not served: leave them to LocalAI": (
        *("diffusers", "step", "cfg_scale", "tts", "pipeline", "mcp", "agent", "proxy", "pii*", "router", "artifacts"),
        *("autogptq", "vall-e", "grpc", "parameters.clip_skip", "parameters.language"),
    ),
}
"""What we do with keys that LocalAI gives a meaning -> the keys, dotted; `*` stands for any rest of a name."""

SERVED_USECASES = {"chat", "completion", "edit", "embeddings", "any"}
SERVED_OPTIONS = {"parallel", "n_parallel", "pooling", "swa_full", "use_jinja"}

_NEUTRAL = {"", "0", "0.0", "-1", "false", "no", "off", "none"}
_ALSO_NEUTRAL = {
    "parameters.tfz": {"1", "1.0"},
    "parameters.n": {"1"},
    "lora_scale": {"1", "1.0"},
}


def notices(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """(path of the first key, what to know) for a config as read, before typing: one for all keys of a kind."""
    paths = [(dotted, path) for path, dotted in _leaves(config)]
    for message, patterns in UNSERVED.items():
        found = [(dotted, path) for dotted, path in paths if any(fnmatchcase(dotted, each) for each in patterns)]
        if found:
            also = ", ".join(dotted for dotted, _ in found[1:])
            yield found[0][1], f"{f'with {also}: ' if also else ''}{message}"
    yield from _unserved_words(config)
    yield from _items_that_are_maps(config)
    top_p = config.get("parameters", {}).get("top_p") if isinstance(config.get("parameters"), Mapping) else None
    if isinstance(top_p, str) and _above_one(top_p):
        yield ("parameters", "top_p"), f"{top_p!r} is above 1, which switches it off: was it meant for top_k?"


def _leaves(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """The keys of a config, those of `parameters` and `template` below their own, that say something."""
    for key, value in config.items():
        inner = value.items() if key in ("parameters", "template") and isinstance(value, Mapping) else ()
        for path, said in [((key,), value), *(((key, name), each) for name, each in inner)]:
            dotted = ".".join(path)
            if not _is_neutral(dotted, said):
                yield path, dotted


def _is_neutral(dotted: str, value: Any) -> bool:
    """Whether a value is what counts without the key, too."""
    if isinstance(value, str):
        return value.strip().lower() in _NEUTRAL | _ALSO_NEUTRAL.get(dotted, set())
    return not value


def _unserved_words(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    usecases = [word for word in _words(config, "known_usecases") if _usecase(word) not in SERVED_USECASES]
    if usecases:
        yield ("known_usecases",), f"{', '.join(usecases)}: not served, only chat, completion, edit and embeddings are"
    options = [word for word in _words(config, "options") if word.partition(":")[0] not in SERVED_OPTIONS]
    if options:
        yield ("options",), f"{', '.join(options)}: not carried out: of options only parallel, pooling and swa_full are"


def _usecase(word: str) -> str:
    """LocalAI also writes `FLAG_CHAT`."""
    return word.lower().removeprefix("flag_")


def _words(config: Mapping[str, Any], key: str) -> list[str]:
    items = to_list(config.get(key) or [])
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def _items_that_are_maps(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for key in ("stopwords", "cutstrings", "extract_regex", "trimspace", "trimsuffix", "options"):
        items = config.get(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, Mapping):
                yield (key, index), "this item is not text and is left out: put it in quotes"


def _above_one(text: str) -> bool:
    try:
        return bool(to_float(text) > 1)
    except ValueError:
        return False
