"""GGUF text models, computed by llama.cpp."""

from __future__ import annotations

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.host import available_cpus, available_memory
from core.llama.context import LlamaContext
from core.llama.model import LlamaModel
from core.prompt.chat_template import ChatTemplate
from core.runners.text import Limits, TextRunner

DEFAULT_SLOTS = 4
DEFAULT_BATCH = 512
DEFAULT_MAX_TOKENS = 1024
DEFAULT_MAX_QUEUE = 64
MAX_DEFAULT_CONTEXT = 8192
"""A model trained for 128k tokens gets its whole window only where `context_size` asks for it (LocalAI's rule)."""


def load(config: ModelConfig) -> TextRunner:
    """Raises ModelUnusable."""
    model = LlamaModel(
        config.weights,
        gpu_layers=-1 if config.gpu_layers is None else config.gpu_layers,
        mmap=config.mmap is not False,
        mlock=config.mmlock is True,
    )
    try:
        limits = plan_limits(config, model, available_memory())
        template = chat_template(model)
        threads = config.threads or available_cpus()
        context = LlamaContext(
            model,
            num_cells=limits.kv_tokens,
            num_seqs=limits.slots + limits.holders,
            max_batch=limits.max_batch,
            threads=threads,
            threads_batch=config.threads_batch or threads,
            flash_attention=config.flash_attention or "auto",
        )
    except ModelUnusable:
        model.close()
        raise
    return TextRunner(config, model, context, limits, template)


def chat_template(model: LlamaModel) -> ChatTemplate | None:
    """The Jinja template in the GGUF's header."""
    if model.chat_template is None:
        return None
    return ChatTemplate(model.chat_template, bos_token=model.bos_token, eos_token=model.eos_token)


def plan_limits(config: ModelConfig, model: LlamaModel, memory: int | None) -> Limits:
    """Fill what the YAML leaves open. The pool gets `slots x context_size` cells, or as many as half the memory holds.

    Raises ModelUnusable if not even one request of `context_size` fits.
    """
    context_size = config.context_size or min(model.context_train, MAX_DEFAULT_CONTEXT)
    slots = config.slots or DEFAULT_SLOTS
    kv_tokens = config.kv_tokens or slots * context_size
    if config.kv_tokens is None and memory is not None:
        kv_tokens = max(context_size, min(kv_tokens, memory // 2 // model.kv_bytes_per_token))
    if kv_tokens < context_size:
        raise ModelUnusable(f"{config.name}: kv_tokens ({kv_tokens}) is less than context_size ({context_size})")
    if memory is not None and kv_tokens * model.kv_bytes_per_token > memory:
        raise ModelUnusable(
            f"{config.name}: {kv_tokens} tokens of KV cache take {kv_tokens * model.kv_bytes_per_token >> 20} MiB, "
            f"{memory >> 20} MiB are free: lower context_size or kv_tokens"
        )
    return Limits(
        context_size=context_size,
        slots=slots,
        holders=slots if config.holders is None else config.holders,
        kv_tokens=kv_tokens,
        max_batch=config.parameters.batch or DEFAULT_BATCH,
        default_max_tokens=config.default_max_tokens or DEFAULT_MAX_TOKENS,
        max_queue=DEFAULT_MAX_QUEUE if config.max_queue is None else config.max_queue,
    )
