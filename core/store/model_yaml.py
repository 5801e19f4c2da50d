"""The YAML that `add` writes: what the weights say of themselves, with the reason for every value beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from core.errors import CoreError
from core.gguf import GgufHeader
from core.store.memory import memory_of
from core.store.shown import shown
from core.store.turn_end import find_turn_end

MAX_COMMENT = 200


def gguf_yaml(name: str, model: str, weights: Path, header: GgufHeader, source: str) -> str:
    """`model` is the path of `weights` below the models folder."""
    body = _embedding(weights, header) if header.is_embedding else _text(model, weights, header)
    lines = [
        *_origin(str(header.metadata.get("general.name") or name), source),
        f"name: {_quoted(name)}",
        "backend: llama-cpp",
        *(["embeddings: true"] if header.is_embedding else []),
        "parameters:",
        f"  model: {_quoted(model)}   # {_one_line(header.architecture)}, {header.quant}",
        *body,
    ]
    return "\n".join(lines) + "\n"


def folder_yaml(name: str, model: str, folder: Path, source: str) -> str:
    """For a folder as sentence-transformers saves it."""
    size = memory_of(folder, None, None).weights
    lines = [
        *_origin(folder.name, source),
        f"name: {_quoted(name)}",
        "backend: sentencetransformers   # needs the extra: pip install 'warmfn[embeddings]'",
        "embeddings: true",
        "parameters:",
        f"  model: {_quoted(model)}",
        f"# Memory: about {_size(size)} of weights.",
    ]
    return "\n".join(lines) + "\n"


def _origin(title: str, source: str) -> list[str]:
    # What follows a question mark may be somebody's key.
    place = shown(source).partition("?")[0]
    return [
        f"# {_one_line(title)}",
        f"# Written by `warmfn add` from {_one_line(place)}; everything here may be changed.",
    ]


def _embedding(weights: Path, header: GgufHeader) -> Iterator[str]:
    yield f"context_size: {_context(weights)}   # the longest text, in tokens; trained with {header.context_length}"
    pooling = header.pooling or "none stated, so mean"
    yield f"# Vectors of {header.embedding_length} numbers; pooling: {pooling}."
    yield f"# Memory: about {_size(header.weight_bytes)} of weights."


def _text(model: str, weights: Path, header: GgufHeader) -> Iterator[str]:
    memory = memory_of(weights, None, None)
    yield (
        f"context_size: {memory.context_size}   # prompt and answer together, in tokens; the model was trained with "
        f"{header.context_length or 'an unknown number'}"
    )
    yield f"slots: {memory.slots}   # requests answered at the same time; more wait their turn"
    yield (
        f"# Memory: about {_size(memory.weights)} of weights and {_size(memory.kv_per_slot)} of KV cache for each "
        f"slot, {_size(memory.total)} in all."
    )
    yield from _template(model, weights, header)


def _template(model: str, weights: Path, header: GgufHeader) -> Iterator[str]:
    beside = weights.with_name(f"{weights.name}.tmpl")
    if beside.exists():
        yield f"# Prompts are made by {model}.tmpl, which lies beside the weights."
    elif header.chat_template is None:
        yield "# The weights hold no chat template, so chat needs one from their publisher: write it to"
        yield f"# {model}.tmpl, or name it here as `template: {{chat: NAME}}`. Completions work without."
    else:
        yield "template:"
        yield "  use_tokenizer_template: true   # the chat template in the weights"
        yield from _stopwords(weights, header)


def _stopwords(weights: Path, header: GgufHeader) -> Iterator[str]:
    try:
        end = find_turn_end(weights, header)
    except CoreError as error:
        yield f"# That template could not be tried: {_one_line(error.message)}"
        return
    if end is None:
        yield "# That template puts nothing behind an answer: if the model does not stop, add `stopwords:`."
    elif end.is_end_token:
        yield f"# An answer ends with {_quoted(end.text)}, an end token: no stop string is needed."
    else:
        yield "stopwords:"
        yield f"  - {_quoted(end.text)}   # follows an answer and is no end token"


def _one_line(text: str) -> str:
    """`text` from a file or an address as a part of a comment, which it cannot end."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())[:MAX_COMMENT]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _context(weights: Path) -> int:
    return memory_of(weights, None, None).context_size


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
