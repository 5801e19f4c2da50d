"""Embedding models in sentence-transformers folders, computed by torch as the folder's own modules say."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import coldstart
from core.compute import limit_openmp_spin
from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.host import available_cpus
from core.runners.embedding import EmbeddingRunner, Vectors, longest_input
from core.runners.torch_device import Placement, Precision, TorchCard, place
from core.runners.torch_packed import can_pack, first_position, packed, unpacked, use_packed_attention

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

logger = logging.getLogger("warmfn.embedding")

MAX_ROWS = 256


def load(config: ModelConfig) -> EmbeddingRunner:
    """Nothing is fetched from a network. `normalize:` overrides the folder's own modules. Raises ModelUnusable."""
    _import_libraries(config)
    placement = _place(config)
    with coldstart.phase("weights"):
        model = open_folder(config.weights, placement.device, placement.precision)
    if config.normalize is False:
        for index in reversed(normalizations(model)):
            del model[index]
    backend = TorchEmbedder(
        config.weights.name, model, context_size=config.context_size, batch_tokens=placement.batch_tokens
    )
    calibrates = config.parameters.batch is None and placement.device == "cpu"
    normalize = config.normalize is True
    return EmbeddingRunner(config.name, backend, normalize=normalize, max_queue=config.max_queue, calibrates=calibrates)


def _import_libraries(config: ModelConfig) -> None:
    """Not beside another model's load: they share Python's lock, and SmolLM2's first token came after 3.0 s instead of
    1.2 s, to have the first vector after 4.9 s instead of 5.0 s."""
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ModelUnusable(f"{config.name} needs sentence-transformers: pip install 'warmfn[embeddings]'")
    if "sentence_transformers" in sys.modules:
        return
    limit_openmp_spin()
    started = time.monotonic()
    with coldstart.phase("libraries"):
        import sentence_transformers  # noqa: F401
    logger.info(
        "%s: importing sentence-transformers and torch took %.1f s, which every start pays; a GGUF of the same weights "
        "needs neither (`warmfn optimize %s` makes one of a BERT)",
        *(config.name, time.monotonic() - started, config.name),
    )


def _place(config: ModelConfig) -> Placement:
    import torch

    placement = place(
        [] if config.gpu_layers == 0 else _cards(),
        weight_bytes=_weight_bytes(config.weights),
        gpu_layers=config.gpu_layers,
        f16=config.f16,
        batch=config.parameters.batch,
    )
    if placement.remark:
        logger.warning("%s: %s", config.name, placement.remark)
    if placement.device == "cpu":
        torch.set_num_threads(config.threads or available_cpus())
    return placement


def _weight_bytes(folder: Path) -> int:
    """Of the files that sentence-transformers takes: the older form only without the newer one."""
    sizes = [
        sum(path.stat().st_size for path in folder.rglob(form)) for form in ("*.safetensors", "pytorch_model*.bin")
    ]
    return sizes[0] or sizes[1]


def _cards() -> list[TorchCard]:
    """What torch can compute on besides the CPU. Asking a CUDA card for its memory opens it."""
    import torch

    bfloat16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
    cards = [TorchCard(f"cuda:{index}", size, bfloat16) for index, size in enumerate(free)]
    if torch.backends.mps.is_available():
        size = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        cards.append(TorchCard("mps", size))
    return cards


def open_folder(path: Path, device: str, precision: Precision = "float32") -> SentenceTransformer:
    """The folder's modules on `device`. Raises ModelUnusable."""
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    try:
        model = SentenceTransformer(str(path), device=device, local_files_only=True)
        return model.eval().to(dtype=getattr(torch, precision))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnusable(f"{path.name} is not a usable sentence-transformers folder: {error}") from error


class TorchEmbedder:
    """An `EmbeddingBackend` on a sentence-transformers model of text."""

    def __init__(self, folder: str, model: SentenceTransformer, *, context_size: int | None, batch_tokens: int) -> None:
        _check_modules(folder, model)
        self._model = model
        self._tokenizer: Any = model.tokenizer
        # Padding by itself is the purpose here; without this the tokenizer advises to tokenize and pad in one go.
        self._tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True
        self._tokenizing = threading.Lock()
        self._prompt = (model.prompts or {}).get(model.default_prompt_name or "", "")
        self.max_tokens = longest_input(folder, asked=context_size, own=model.max_seq_length, bound=_positions(model))
        self.dimensions: int = model.get_embedding_dimension()
        self.num_vocab: int = model.transformers_model.get_input_embeddings().num_embeddings
        self.normalized = bool(normalizations(model))
        self.batch_tokens = batch_tokens
        self.max_rows = MAX_ROWS
        self._packs = can_pack(model.transformers_model)
        if self._packs:
            use_packed_attention(model.transformers_model)
        self.identity = {
            "backend": "sentence-transformers",
            "weights": folder,
            "pooling": ",".join(str(module.pooling_mode) for module in model if hasattr(module, "pooling_mode")),
            "prompt": self._prompt,
            "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
        }

    def tokenize(self, texts: Sequence[str], *, add_special: bool) -> list[list[int]]:
        """As the folder's tokenizer does it, its default prompt included; `[SEP]` written in a text is that token."""
        # Fast tokenizers cannot be called from two threads: setting their truncation needs them for itself.
        with self._tokenizing:
            encoded = self._tokenizer(
                [self._prompt + text for text in texts],
                add_special_tokens=add_special,
                padding=False,
                truncation=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )
        return list(encoded["input_ids"])

    def cost(self, lengths: Sequence[int]) -> int:
        return sum(lengths) if self._packs else len(lengths) * max(lengths)

    def embed_batch(self, batch: Sequence[Sequence[int]]) -> Vectors:
        """Vectors (n, dimensions)."""
        import torch

        with torch.inference_mode():
            vectors = self._packed(batch) if self._packs else self._padded(batch)
        return np.asarray(vectors.float().cpu().numpy(), np.float32)

    def _packed(self, batch: Sequence[Sequence[int]]) -> Tensor:
        transformer, *others = self._model
        row = packed(self._model.transformers_model, batch)
        features = unpacked(transformer(row)["token_embeddings"], row["lengths"])
        for module in others:
            features = module(features)
        return features["sentence_embedding"]

    def _padded(self, batch: Sequence[Sequence[int]]) -> Tensor:
        """The attention mask keeps padding out of the vectors."""
        padded = self._tokenizer.pad({"input_ids": batch}, return_tensors="pt")
        features = {key: tensor.to(self._model.device) for key, tensor in padded.items()}
        vectors: Tensor = self._model(features)["sentence_embedding"]
        return vectors

    def close(self) -> None:
        """Torch frees the weights with the last reference to them."""
        del self._model


def _check_modules(folder: str, model: SentenceTransformer) -> None:
    from sentence_transformers.base.modules import Transformer

    if not isinstance(model[0], Transformer) or list(model[0].modality_config) != ["text"]:
        raise ModelUnusable(f"{folder} does not begin with a text Transformer: only such folders are served")
    if model.default_prompt_name and any(getattr(module, "include_prompt", True) is False for module in model):
        raise ModelUnusable(f"{folder}: its pooling leaves the default prompt out, which is not supported")


def normalizations(model: SentenceTransformer) -> list[int]:
    """Places of the modules that scale vectors to length 1."""
    from sentence_transformers.base.modules import Normalize

    return [index for index, module in enumerate(model) if isinstance(module, Normalize)]


def _positions(model: SentenceTransformer) -> int | None:
    """Tokens the network has positions for."""
    network = model.transformers_model
    positions = getattr(network.config, "max_position_embeddings", None)
    return positions and positions - first_position(network)
