"""How a text model that llama.cpp computes divides memory and batches: what its YAML leaves open is filled in here."""

from __future__ import annotations

from dataclasses import replace

from core.config.defaults import DEFAULT_SLOTS, MAX_DEFAULT_CONTEXT
from core.config.model import ModelConfig, needs_flash_attention
from core.engine.draft import MAX_DRAFTED
from core.engine.prefill import MICRO_BATCH
from core.errors import ModelUnusable
from core.gguf.kv_cache import KvLayout, cells_that_fit
from core.host import available_cpus
from core.limits import KvForm
from core.llama.attention import Attention, flash_attention
from core.llama.context import ContextSettings
from core.llama.model import LlamaModel
from core.llama.rope import Rope
from core.runners.gpu import batch_rows
from core.runners.text_limits import Limits

DEFAULT_MAX_TOKENS = 1024
MIN_CONTEXT = 16
"""Fewer tokens hold no prompt and no answer."""

DEFAULT_MAX_QUEUE = 64
MAX_SCORES = 2**21
"""Attention scores (rows x context x heads) that a CPU computes in one pass: more overflow its cache, and the softmax
that follows reads them from memory."""

MAX_SCORES_BYTES = 2**28
"""What llama.cpp may set aside for the scores of a full pass at the longest context."""

MIN_COPY = 128
"""Tokens a prefix must have to be copied between two caches: a copy moves the whole cache."""


def context_settings(config: ModelConfig, model: LlamaModel, limits: Limits) -> ContextSettings:
    threads = config.threads or available_cpus()
    form, attention = kv_form(config, model), attention_of(config, model)
    return ContextSettings(
        num_cells=limits.kv_tokens,
        num_seqs=limits.slots + limits.holders,
        unified=limits.kv == "unified",
        max_batch=limits.max_batch,
        micro_batch=rows_of_pass(attention, model.num_heads, limits.context_size),
        threads=threads,
        threads_batch=config.threads_batch or threads,
        flash_attention=attention,
        cache_type_k=form.cache_type_k,
        cache_type_v=form.cache_type_v,
        swa_full=config.swa_full is not False,
        max_outputs=limits.slots + limits.holders + limits.max_drafted,
        rope=Rope.of(config),
    )


def kv_form(config: ModelConfig, model: LlamaModel) -> KvForm:
    return KvForm(
        cache_type_k=config.cache_type_k or "f16",
        cache_type_v=config.cache_type_v or "f16",
        flash_attention=attention_of(config, model),
    )


def remarks_on(config: ModelConfig, settings: ContextSettings) -> list[str]:
    """What one key of the YAML has done to another."""
    if settings.flash_attention == "on" and config.flash_attention != "on":
        return [f"flash attention is on: values of {settings.cache_type_v} (cache_type_v) are read in no other way"]
    return []


def rows_of_pass(attention: Attention, num_heads: int, context_size: int) -> int:
    """Where scores are written to memory, so many that theirs at the longest context fit in MAX_SCORES_BYTES."""
    if attention != "off":
        return MICRO_BATCH
    rows = MAX_SCORES_BYTES // (4 * max(num_heads, 1) * context_size)
    return min(MICRO_BATCH, max(64, rows // 64 * 64))


def attention_of(config: ModelConfig, model: LlamaModel) -> Attention:
    needed = needs_flash_attention(config.cache_type_v)
    return flash_attention(config.flash_attention, on_gpu=model.is_offloaded, needed=needed)


def plan_limits(config: ModelConfig, model: LlamaModel, memory: int | None) -> Limits:
    """Fill what the YAML leaves open. `memory` is what is free, in bytes; half of it may become KV cache. Raises
    ModelUnusable if it cannot fit."""
    longest = model.context_train if config.wants_trained_context else MAX_DEFAULT_CONTEXT
    context_size = config.context_size or min(model.context_train, longest)
    if context_size < MIN_CONTEXT:
        raise ModelUnusable(
            f"{config.name}: a context_size of {context_size} is too small: give at least {MIN_CONTEXT}"
        )
    slots = config.slots or DEFAULT_SLOTS
    max_batch = batch_rows(config.parameters.batch, on_gpu=model.is_offloaded)
    if max_batch < slots:
        raise ModelUnusable(
            f"{config.name}: batch ({max_batch}) is less than slots ({slots}), and each request that runs needs a row "
            "of every step: leave parameters.batch out, or lower slots"
        )
    cache = plan_cache(config, model, context_size, max_batch, memory)
    _check_fit(config, model, cache, context_size, memory)
    return Limits(
        context_size=context_size,
        slots=slots,
        holders=cache.seqs - slots,
        kv="unified" if cache.unified else "split",
        kv_tokens=cache.cells,
        min_copy=_min_copy(model, cache, context_size),
        max_batch=max_batch,
        max_scores=MAX_SCORES // max(model.num_heads, 1) if attention_of(config, model) == "off" else None,
        max_drafted=_max_drafted(config, model, cache, slots, max_batch),
        default_max_tokens=config.default_max_tokens or DEFAULT_MAX_TOKENS,
        max_queue=DEFAULT_MAX_QUEUE if config.max_queue is None else config.max_queue,
    )


def plan_cache(
    config: ModelConfig, model: LlamaModel, context_size: int, max_batch: int, memory: int | None
) -> KvLayout:
    """The KV cache as the YAML wants it, or where that says nothing, as it fits into half of the memory.

    A cache for each slot is the rule on a CPU: in a shared pool every token attends past the cells of all others,
    which at 8 x 600 tokens doubles the time of a step. One pool is for a GPU, where masked cells are skipped, for
    contexts that fit only when not all are long, and for whoever says `kv: unified`."""
    if config.kv == "split" and config.kv_tokens:
        raise ModelUnusable(f"{config.name}: kv_tokens sizes one pool for all slots: leave it out, or say kv: unified")
    slots, holders, attention = config.slots or DEFAULT_SLOTS, config.holders, attention_of(config, model)
    seqs = slots + (holders or 0)
    split = KvLayout(
        cells=seqs * context_size,
        seqs=seqs,
        flash_attention=attention != "off",
        key_type=config.cache_types[0],
        value_type=config.cache_types[1],
        rows=min(rows_of_pass(attention, model.num_heads, context_size), max_batch),
        full_window=config.swa_full is not False,
    )
    is_tight = memory is not None and model.kv_cache_bytes(split) > memory // 2
    prefers_pool = model.is_offloaded or config.kv_tokens is not None or is_tight
    if config.kv == "split" or (config.kv is None and not prefers_pool):
        return split
    pool = replace(
        split, cells=slots * context_size, seqs=slots + (slots if holders is None else holders), unified=True
    )
    return replace(pool, cells=config.kv_tokens or max(context_size, _cells_in(memory, pool, model)))


def _cells_in(memory: int | None, pool: KvLayout, model: LlamaModel) -> int:
    """As many of the pool's as half of the memory holds."""
    if memory is None:
        return pool.cells
    return cells_that_fit(lambda cells: model.kv_cache_bytes(replace(pool, cells=cells)), memory // 2, most=pool.cells)


def _min_copy(model: LlamaModel, cache: KvLayout, context_size: int) -> int:
    """In a pool a copy only marks cells. But llama.cpp takes back no cell that several read when it slides out of a
    small window, so that there nothing is copied."""
    if not cache.unified:
        return MIN_COPY
    return context_size if model.attention_window and not cache.full_window else 1


def _max_drafted(config: ModelConfig, model: LlamaModel, cache: KvLayout, slots: int, max_batch: int) -> int:
    """A wrong draft must be forgotten, and all be there again that was before it: a recurrent state cannot do that.

    Nor is it certain of a small window. What has slid out of it behind a draft, wrong or not, is free to be taken by
    later passes of the same step, and sequences of unequal drafts are several passes. In a pool whatever has slid out
    of a full window is free as well, so that there a step with drafts must be one pass.
    """
    if config.prompt_lookup is False or not model.can_cut_memory:
        return 0
    if not model.attention_window:
        return min(MAX_DRAFTED, max_batch - 1)
    if not cache.full_window:
        return 0
    return max(0, min(MAX_DRAFTED, max_batch - 1, cache.rows - slots if cache.unified else MAX_DRAFTED))


def _check_fit(config: ModelConfig, model: LlamaModel, cache: KvLayout, context_size: int, memory: int | None) -> None:
    if cache.cells < context_size:
        raise ModelUnusable(f"{config.name}: kv_tokens ({cache.cells}) is less than context_size ({context_size})")
    size = model.kv_cache_bytes(cache)
    if memory is not None and size > memory:
        raise ModelUnusable(
            f"{config.name}: a KV cache of {cache.cells} tokens takes {size >> 20} MiB and {memory >> 20} MiB are free"
            f": lower context_size, slots or kv_tokens{', or gpu_layers' if model.is_offloaded else ''}"
        )
