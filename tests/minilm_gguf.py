"""all-MiniLM-L6-v2 as a GGUF, made from its sentence-transformers folder: both forms must give the same vectors."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

UNUSED = ("pooler.", "embeddings.position_ids")


def convert_minilm(folder: Path, target: Path, *, pooling: gguf.PoolingType | None = gguf.PoolingType.MEAN) -> Path:
    """Write `target` with all tensors as f32, so that only the arithmetic differs from torch's."""
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    _add_vocabulary(writer, folder, config)
    _add_tensors(writer, folder, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add_vocabulary(writer: gguf.GGUFWriter, folder: Path, config: dict[str, int]) -> None:
    words = (folder / "vocab.txt").read_text().splitlines()
    special = {word for word in words if word.startswith("[") and word.endswith("]") and len(word) > 2}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_token_list([word if word in special else _phantom_space(word) for word in words])
    writer.add_token_types([control if word in special else normal for word in words])
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_eos_token_id(words.index("[SEP]"))
    writer.add_pad_token_id(words.index("[PAD]"))


def _phantom_space(word: str) -> str:
    """llama.cpp marks the pieces that begin a word, where BERT marks those that continue one."""
    return word.removeprefix("##") if word.startswith("##") else "\u2581" + word


def _add_tensors(writer: gguf.GGUFWriter, folder: Path, config: dict[str, int]) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        if not name.startswith(UNUSED):
            mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert mapped, f"no GGUF name for {name}"
            writer.add_tensor(mapped, tensor.astype(np.float32))
