"""Texts of mixed length in one row of torch, without padding: every layer computes real tokens only, and each text
attends to itself alone.

With 32 clients that send one text of 23 to 166 tokens each, padding made up a sixth of what was computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

ARCHITECTURES = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
"""Encoders in which a token knows its text by attention alone, to all of it, and its place by a number we may give."""

ATTENTION = "warmfn-packed"


def can_pack(network: PreTrainedModel) -> bool:
    """Only on a CPU: a GPU would be started once for each text and layer, which costs it more than padding."""
    return network.config.model_type in ARCHITECTURES and network.device.type == "cpu"


def use_packed_attention(network: PreTrainedModel) -> None:
    """From here on the network takes `packed` features, and no others."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)
    network.set_attn_implementation(ATTENTION)


def packed(network: PreTrainedModel, batch: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What the network is given: one row of all texts' tokens, each text's positions counted anew."""
    import torch

    first = first_position(network)
    return {
        "input_ids": torch.tensor([[token for tokens in batch for token in tokens]]),
        "position_ids": torch.cat([torch.arange(first, first + len(tokens)) for tokens in batch])[None],
        "lengths": [len(tokens) for tokens in batch],
    }


def unpacked(row: Tensor, lengths: list[int]) -> dict[str, Tensor]:
    """Token vectors (1, tokens, d) as what follows the network expects them: (texts, longest, d) and their mask."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    vectors = pad_sequence(list(torch.split(row[0], lengths)), batch_first=True)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {"token_embeddings": vectors, "attention_mask": mask.long()}


def first_position(network: PreTrainedModel) -> int:
    """RoBERTa's relatives (MPNet, XLM-R) count positions from padding_idx + 1."""
    for module in network.modules():
        padding = getattr(getattr(module, "position_embeddings", None), "padding_idx", None)
        if padding is not None:
            return int(padding) + 1
    return 0


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: None, *, lengths: list[int], scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Of (1, heads, tokens, d), as (1, tokens, heads, d)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    texts = zip(*(torch.split(each, lengths, dim=2) for each in (query, key, value)), strict=True)
    parts = [scaled_dot_product_attention(q, k, v, scale=scaling) for q, k, v in texts]
    return torch.cat(parts, dim=2).transpose(1, 2), None
