from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from core.runners.torch_packed import ARCHITECTURES, can_pack, packed, unpacked, use_packed_attention

BATCH = [[5, 6, 7], [9], list(range(2, 22)), [5, 6], list(range(10, 25))]
"""More tokens together than a text has positions."""


def network(model_type: str) -> PreTrainedModel:
    """A small one of random weights, with room for 20 tokens after RoBERTa's two reserved positions."""
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 32}
    if model_type == "distilbert":
        sizes = {"dim": 16, "n_heads": 2, "n_layers": 2, "hidden_dim": 32}
    torch.manual_seed(1)
    config = AutoConfig.for_model(model_type, vocab_size=50, max_position_embeddings=22, pad_token_id=1, **sizes)
    return AutoModel.from_config(config).eval()


def alone(model: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([tokens]))[0][0]


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@torch.inference_mode()
def test_texts_in_one_row_get_the_vectors_they_get_alone(model_type: str) -> None:
    model = network(model_type)
    expected = [alone(model, tokens) for tokens in BATCH]
    assert can_pack(model)
    use_packed_attention(model)
    row = packed(model, BATCH)
    features = unpacked(model(**row)[0], row["lengths"])
    for vectors, mask, wanted in zip(features["token_embeddings"], features["attention_mask"], expected, strict=True):
        assert torch.allclose(vectors[mask.bool()], wanted, atol=1e-5)


def test_a_network_with_attention_of_its_own_is_padded() -> None:
    assert not can_pack(network("mpnet"))
