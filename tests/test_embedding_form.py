"""Folders of embeddings as GGUFs: what is carried over, what is refused, and that the vectors are the same."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.config.folder import read_folder
from core.errors import StoreError
from core.gguf import read_header
from core.store.bert_gguf import read_bert, write_bert
from handlers.cli import main

BERT: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 8,
    "max_position_embeddings": 16,
    "hidden_size": 4,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "##s", "[x]")
MODULES = [{"path": "", "type": "a.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]
NORMALIZE = {"path": "2_Normalize", "type": "a.Normalize"}
TOKENIZER: dict[str, Any] = {
    "model": {
        "type": "WordPiece",
        "continuing_subword_prefix": "##",
        "vocab": {word: number for number, word in enumerate(WORDS)},
    },
    "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
    "added_tokens": [{"id": number, "content": word, "special": True} for number, word in enumerate(WORDS[:4])],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole BERT of one layer, four numbers wide."""
    files = {
        "config.json": BERT,
        "modules.json": [*MODULES, NORMALIZE],
        "sentence_bert_config.json": {"max_seq_length": 12},
        "tokenizer.json": TOKENIZER,
        "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    }
    for name, value in files.items():
        write(tmp_path / "bert", name, value)
    layer = "encoder.layer.0"
    ones = {
        **{f"embeddings.{name}_embeddings.weight": (size, 4) for name, size in (("word", 8), ("position", 16))},
        **{f"{layer}.attention.self.{name}.weight": (4, 4) for name in ("query", "key", "value")},
        "embeddings.token_type_embeddings.weight": (2, 4),
        "embeddings.LayerNorm.weight": (4,),
        f"{layer}.intermediate.dense.weight": (8, 4),
        f"{layer}.intermediate.dense.bias": (8,),
        "pooler.dense.weight": (4, 4),
    }
    save_file({name: np.ones(shape, np.float32) for name, shape in ones.items()}, tmp_path / "bert/model.safetensors")
    return tmp_path / "bert"


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))


def test_the_header_says_what_the_folder_says(folder: Path, tmp_path: Path) -> None:
    write_bert(read_bert(folder), tmp_path / "bert.gguf")
    header = read_header(tmp_path / "bert.gguf")
    assert (header.architecture, header.pooling, header.quant) == ("bert", "cls", "F16")
    assert (header.context_length, header.embedding_length, header.num_vocab) == (16, 4, 8)
    assert header.metadata["tokenizer.ggml.normalizer.lowercase"] is True
    types = {tensor.name: tensor.type for tensor in header.tensors}
    assert types["token_embd.weight"] == types["blk.0.ffn_up.weight"] == "F16"
    assert types["position_embd.weight"] == types["token_types.weight"] == types["blk.0.ffn_up.bias"] == "F32"
    assert not any("pooler" in name for name in types)


def test_tokens_keep_their_ids_and_what_pads_the_weights_gets_a_name(folder: Path) -> None:
    bert = read_bert(folder)
    assert bert.tokens == [*WORDS, "[PAD7]"]
    assert bert.special == set(WORDS[:4])
    assert (bert.max_tokens, bert.normalizes) == (12, True)


def test_case_and_accents_stay_where_the_folder_keeps_them(folder: Path) -> None:
    normalizer = {"type": "BertNormalizer", "lowercase": False, "strip_accents": None}
    write(folder, "tokenizer.json", {**TOKENIZER, "normalizer": normalizer})
    assert (read_bert(folder).lowercase, read_bert(folder).strip_accents) == (False, False)
    write(folder, "tokenizer.json", {**TOKENIZER, "normalizer": {**normalizer, "strip_accents": True}})
    assert (read_bert(folder).lowercase, read_bert(folder).strip_accents) == (False, True)


def test_pooling_is_read_in_its_newer_form_too_and_normalization_may_be_absent(folder: Path) -> None:
    write(folder, "1_Pooling/config.json", {"pooling_mode": "mean", "embedding_dimension": 4})
    write(folder, "modules.json", MODULES)
    assert (read_bert(folder).pooling, read_bert(folder).normalizes) == ("mean", False)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("config.json", {**BERT, "model_type": "mpnet"}, "it is an MPNet: llama.cpp has no such architecture"),
        ("config.json", {**BERT, "model_type": "roberta"}, "of the kind 'roberta', and only BERT is turned"),
        ("config.json", {**BERT, "hidden_act": "relu"}, "unlike BERT's"),
        ("modules.json", [*MODULES, {"path": "2", "type": "a.Dense"}], "its module Dense has no counterpart"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, r"its pooling \(pooling_mode_max_tokens\)"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            "pooling_mode_mean_tokens, pooling_mode_cls_token",
        ),
        ("tokenizer.json", {**TOKENIZER, "model": {"type": "BPE"}}, "no WordPiece"),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}, "its default prompt would be lost"),
    ],
)
def test_what_cannot_be_turned_is_refused_with_the_reason(folder: Path, name: str, value: object, words: str) -> None:
    write(folder, name, value)
    with pytest.raises(StoreError, match=f"bert cannot be turned into a GGUF: .*{words}"):
        read_bert(folder)


def test_a_tensor_without_a_counterpart_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    save_file({"encoder.adapter.weight": np.ones((4, 4), np.float32)}, folder / "model.safetensors")
    with pytest.raises(StoreError, match=r"its tensor encoder\.adapter\.weight"):
        write_bert(read_bert(folder), tmp_path / "bert.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["bert"]


@pytest.fixture
def models(models_folder: Path, tmp_path: Path) -> Path:
    (tmp_path / "all-MiniLM-L6-v2").symlink_to(models_folder / "all-MiniLM-L6-v2")
    shutil.copy(models_folder / "all-minilm-l6-v2.yaml", tmp_path)
    return tmp_path


@pytest.mark.weights
def test_minilm_becomes_a_gguf_that_is_served_alike(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["optimize", "all-minilm-l6-v2", "--models", str(models)]) == 0
    said = re.search(r"same tokens, cosine at least ([\d.]+) on", capsys.readouterr().out)
    assert said
    assert float(said[1]) >= 0.9999
    folder = read_folder(models)
    assert not folder.problems
    config = folder.configs["all-minilm-l6-v2-gguf"]
    assert (config.context_size, config.normalize, config.backend) == (256, True, "llama-cpp")
    assert main(["optimize", "all-minilm-l6-v2", "--models", str(models)]) == 1
    assert "is not overwritten" in capsys.readouterr().err


@pytest.mark.weights
def test_a_form_with_other_vectors_is_not_kept(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("core.embedding_form.MIN_COSINE", 1.01)
    assert main(["optimize", "all-minilm-l6-v2", "--models", str(models)]) == 1
    assert "gives other vectors than the folder" in capsys.readouterr().err
    assert sorted(path.name for path in models.iterdir()) == ["all-MiniLM-L6-v2", "all-minilm-l6-v2.yaml"]
