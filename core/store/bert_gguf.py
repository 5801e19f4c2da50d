"""A BERT in a sentence-transformers folder as one GGUF file, which llama.cpp computes without torch.

The vectors are the same as far as float16 weights allow: tokens, pooling and normalization are those of the folder.
Needs the extra `convert`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
from safetensors.numpy import load_file

from core.errors import StoreError
from core.store.disk import explained_disk_errors, require_room

UNUSED_TENSORS = ("pooler.", "embeddings.position_ids")
KEPT_AS_FLOAT32 = ("embeddings.position_embeddings", "embeddings.token_type_embeddings")
POOLINGS = ("mean", "cls")
PHANTOM_SPACE = "\u2581"

_MODULES = ("Transformer", "Pooling", "Normalize")
_UNKNOWN_TO_LLAMA = "llama.cpp has no such architecture: serve the folder as it is"


@dataclass(frozen=True)
class BertFolder:
    """What a folder says of itself. `tokens` are in the order of their ids, `special` those that texts never hold;
    `pooling` is one of POOLINGS, `normalizes` whether vectors are scaled to length 1."""

    path: Path
    config: dict[str, Any]
    tokens: list[str]
    special: frozenset[str]
    lowercase: bool
    strip_accents: bool
    pooling: str
    normalizes: bool
    max_tokens: int

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"


def read_bert(folder: Path) -> BertFolder:
    """Raises StoreError, with the reason, for a folder that cannot be turned into a GGUF."""
    config = _json(folder / "config.json")
    _check_network(folder, config)
    modules = [module["type"].rpartition(".")[2] for module in _json(folder / "modules.json")]
    if unknown := [module for module in modules if module not in _MODULES]:
        raise _refusal(folder, f"its module {unknown[0]} has no counterpart in llama.cpp: serve the folder as it is")
    tokenizer = _json(folder / "tokenizer.json")
    lowercase, strip_accents = _normalizer(folder, tokenizer)
    positions = int(config["max_position_embeddings"])
    return BertFolder(
        path=folder,
        config=config,
        tokens=_tokens(tokenizer, int(config["vocab_size"])),
        special=frozenset(token["content"] for token in tokenizer["added_tokens"] if token["special"]),
        lowercase=lowercase,
        strip_accents=strip_accents,
        pooling=_pooling(folder),
        normalizes="Normalize" in modules,
        max_tokens=min(
            positions, int(_optional(folder / "sentence_bert_config.json").get("max_seq_length", positions))
        ),
    )


def write_bert(bert: BertFolder, target: Path) -> None:
    """Write `target`, all of it or nothing: matrices as float16, what is small as float32. Raises StoreError."""
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with explained_disk_errors(target.parent):
        require_room(target.parent, bert.weights.stat().st_size)
        try:
            writer = gguf.GGUFWriter(part, "bert")
            _add_facts(writer, bert)
            _add_vocabulary(writer, bert)
            _add_tensors(writer, bert)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


def _check_network(folder: Path, config: dict[str, Any]) -> None:
    kind = config.get("model_type")
    if kind == "mpnet":
        raise _refusal(folder, f"it is an MPNet: {_UNKNOWN_TO_LLAMA}")
    if kind != "bert":
        raise _refusal(folder, f"it is of the kind {kind!r}, and only BERT is turned: llama.cpp's converter may do it")
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("hidden_act", "gelu") != "gelu":
        raise _refusal(folder, f"its positions or its activation are unlike BERT's: {_UNKNOWN_TO_LLAMA}")
    if _optional(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        raise _refusal(folder, "its default prompt would be lost: serve the folder as it is")
    if not (folder / "model.safetensors").is_file():
        raise _refusal(folder, "it has no model.safetensors: save it anew with sentence-transformers")


def _normalizer(folder: Path, tokenizer: dict[str, Any]) -> tuple[bool, bool]:
    """Whether texts lose their case and their accents before they are split; the latter follows the former if unset."""
    model, normalizer = tokenizer["model"], tokenizer.get("normalizer") or {}
    is_bert = model.get("type") == "WordPiece" and model.get("continuing_subword_prefix") == "##"
    if not is_bert or normalizer.get("type") != "BertNormalizer":
        raise _refusal(folder, "its tokenizer is no WordPiece as BERT has it: serve the folder as it is")
    lowercase, strips = bool(normalizer["lowercase"]), normalizer.get("strip_accents")
    return lowercase, lowercase if strips is None else bool(strips)


def _tokens(tokenizer: dict[str, Any], num_vocab: int) -> list[str]:
    """By id; ids without a token, which pad the weights, get a name that no text can have."""
    by_id = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    by_id |= {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    return [by_id.get(number, f"[PAD{number}]") for number in range(num_vocab)]


def _pooling(folder: Path) -> str:
    """Of the one Pooling module, in the old form (a flag for each mode) or the new one (its name)."""
    [path] = [module["path"] for module in _json(folder / "modules.json") if module["type"].endswith("Pooling")]
    values = _json(folder / path / "config.json")
    flags = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    modes = [name for name, is_on in values.items() if name.startswith("pooling_mode_") and is_on is True]
    named = values.get("pooling_mode") or (flags.get(modes[0], modes[0]) if len(modes) == 1 else ", ".join(modes))
    if named not in POOLINGS:
        raise _refusal(folder, f"its pooling ({named}) is none that llama.cpp has: serve the folder as it is")
    return str(named)


def _add_facts(writer: gguf.GGUFWriter, bert: BertFolder) -> None:
    config = bert.config
    writer.add_name(bert.path.name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType[bert.pooling.upper()])


def _add_vocabulary(writer: gguf.GGUFWriter, bert: BertFolder) -> None:
    tokens = bert.tokens
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("bert")
    writer.add_bool("tokenizer.ggml.normalizer.lowercase", bert.lowercase)
    writer.add_bool("tokenizer.ggml.normalizer.strip_accents", bert.strip_accents)
    writer.add_token_type_count(bert.config["type_vocab_size"])
    writer.add_token_list([token if token in bert.special else _phantom_space(token) for token in tokens])
    writer.add_token_types([control if token in bert.special else normal for token in tokens])
    writer.add_unk_token_id(tokens.index("[UNK]"))
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_sep_token_id(tokens.index("[SEP]"))
    writer.add_pad_token_id(tokens.index("[PAD]"))


def _phantom_space(token: str) -> str:
    """llama.cpp marks the pieces that begin a word, where BERT marks those that continue one."""
    return token.removeprefix("##") if token.startswith("##") else PHANTOM_SPACE + token


def _add_tensors(writer: gguf.GGUFWriter, bert: BertFolder) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, bert.config["num_hidden_layers"])
    for name, tensor in load_file(bert.weights).items():
        plain = name.removeprefix("bert.")
        if plain.startswith(UNUSED_TENSORS):
            continue
        mapped = names.get_name(plain, try_suffixes=(".weight", ".bias"))
        if mapped is None:
            raise _refusal(bert.path, f"its tensor {name} has no counterpart in llama.cpp: serve the folder as it is")
        is_matrix = tensor.ndim > 1 and not plain.startswith(KEPT_AS_FLOAT32)
        writer.add_tensor(mapped, tensor.astype("float16" if is_matrix else "float32"))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read, so the folder cannot be turned into a GGUF: {error}") from error


def _optional(path: Path) -> dict[str, Any]:
    found = _json(path) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _refusal(folder: Path, reason: str) -> StoreError:
    return StoreError(f"{folder.name} cannot be turned into a GGUF: {reason}")
