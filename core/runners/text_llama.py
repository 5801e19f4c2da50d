"""GGUF text models, computed by llama.cpp."""

from __future__ import annotations

import logging
import threading

from core import coldstart
from core.config.defaults import DEFAULT_SLOTS, MAX_DEFAULT_CONTEXT
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.engine.draft import MAX_DRAFTED
from core.errors import ModelUnusable
from core.host import available_cpus
from core.limits import Host, read_limits, this_host
from core.llama.context import ContextSettings, LlamaContext
from core.llama.devices import gpus
from core.llama.kernels import advice
from core.llama.model import LlamaModel, open_model
from core.llama.offload import MICRO_BATCH
from core.llama.state import build
from core.packs.folder import PackFolder
from core.packs.survey import survey
from core.prompt.chat_template import ChatTemplate
from core.prompt.lint import lint
from core.prompt.prompts import Prompts
from core.runners.gpu import Attention, batch_rows, flash_attention, free_for_cache
from core.runners.text import TextRunner
from core.runners.text_limits import Limits

logger = logging.getLogger("warmfn.text")

DEFAULT_MAX_TOKENS = 1024
MIN_CONTEXT = 16
"""Fewer tokens hold no prompt and no answer."""

DEFAULT_MAX_QUEUE = 64
MAX_SCORES = 2**21
"""Attention scores (rows x context x heads) that a CPU computes in one pass: more overflow its cache, and the softmax
that follows reads them from memory."""

MAX_SCORES_BYTES = 2**28
"""What llama.cpp may set aside for the scores of a full pass at the longest context."""

UNCUT = "the memory of this model is one state, which cannot be cut back to the beginning of another prompt"

MIN_COPY = 128
"""Tokens a prefix must have to be copied between two caches: a copy moves the whole cache."""


def load(config: ModelConfig) -> TextRunner:
    """Raises ModelUnusable."""
    threading.Thread(target=_log_advice, args=(config,), name=f"advice-{config.name}", daemon=True).start()
    with coldstart.phase("weights"):
        model = open_model(config)
    try:
        measured = read_limits(model.path, host())
        filled = measured.fill(config) if measured else config
        limits = plan_limits(filled, model, free_for_cache(model))
        template = chat_template(model)
        settings = context_settings(filled, model, limits)
        with coldstart.phase("context"):
            context = LlamaContext(model, settings)
    except ModelUnusable:
        model.close()
        raise
    return TextRunner(config, model, context, limits, template, pack_folder(config, model, settings), measured)


def host() -> Host:
    """This host, to compare with the one that limits were measured on."""
    return this_host([card.name for card in gpus()], build()["llama_cpp"])


def _log_advice(config: ModelConfig) -> None:
    """Beside the load, which waits for the disk and for C: reading a header takes 60 to 300 ms."""
    try:
        if said := speed_advice(config):
            logger.info("%s: %s", config.name, said)
    except ModelUnusable:
        return  # which the load tells


def examine_prompts(config: ModelConfig) -> list[Problem]:
    """What the prompts and the packs of a model get wrong, by its vocabulary alone. Raises ModelUnusable."""
    model = LlamaModel(config.weights, vocab_only=True)
    try:
        template = chat_template(model)
        packs = survey(PackFolder(config), config, Prompts(config, template), model, thoroughly=True)
        return [*lint(config, template, model), *packs.problems]
    finally:
        model.close()


def pack_folder(config: ModelConfig, model: LlamaModel, settings: ContextSettings) -> PackFolder | None:
    """None where there are no packs, and none are to be made."""
    folder = PackFolder(config, settings.layout)
    if not (config.prefixes or config.prompt_cache_path or folder.path.is_dir()):
        return None
    if model.can_cut_memory:
        return folder
    logger.warning("%s: no prefixes are kept: %s", config.name, UNCUT)
    return None


def speed_advice(config: ModelConfig) -> str | None:
    """How a model that this host's CPU computes slowly becomes faster. Raises ModelUnusable."""
    return None if gpus() and config.gpu_layers != 0 else advice(config.name, config.weights)


def chat_template(model: LlamaModel) -> ChatTemplate | None:
    """The Jinja template in the GGUF's header."""
    if model.chat_template is None:
        return None
    return ChatTemplate(model.chat_template, bos_token=model.bos_token, eos_token=model.eos_token)


def context_settings(config: ModelConfig, model: LlamaModel, limits: Limits) -> ContextSettings:
    threads = config.threads or available_cpus()
    attention = attention_of(config, model)
    return ContextSettings(
        num_cells=limits.kv_tokens,
        num_seqs=limits.slots + limits.holders,
        unified=limits.kv == "unified",
        max_batch=limits.max_batch,
        micro_batch=micro_batch(model.num_heads, limits.context_size) if attention == "off" else MICRO_BATCH,
        threads=threads,
        threads_batch=config.threads_batch or threads,
        flash_attention=attention,
        max_outputs=limits.slots + limits.holders + limits.max_drafted,
        rope_freq_base=config.parameters.rope_freq_base,
        rope_freq_scale=config.parameters.rope_freq_scale,
    )


def micro_batch(num_heads: int, context_size: int) -> int:
    """Rows in one pass, so that their float32 scores at the longest context fit in MAX_SCORES_BYTES."""
    rows = MAX_SCORES_BYTES // (4 * max(num_heads, 1) * context_size)
    return min(MICRO_BATCH, max(64, rows // 64 * 64))


def attention_of(config: ModelConfig, model: LlamaModel) -> Attention:
    return flash_attention(config.flash_attention, on_gpu=model.is_offloaded)


def plan_limits(config: ModelConfig, model: LlamaModel, memory: int | None) -> Limits:
    """Fill what the YAML leaves open. `memory` is what is free, in bytes; half of it may become KV cache.

    A cache for each slot is the rule on a CPU: in a shared pool every token attends past the cells of all others, which
    at 8 x 600 tokens doubles the time of a step. One pool is for a GPU, where masked cells are skipped, for contexts
    that fit only when not all are long, and for whoever says `kv: unified`. Raises ModelUnusable if it cannot fit.
    """
    longest = model.context_train if config.wants_trained_context else MAX_DEFAULT_CONTEXT
    context_size = config.context_size or min(model.context_train, longest)
    if context_size < MIN_CONTEXT:
        raise ModelUnusable(
            f"{config.name}: a context_size of {context_size} is too small: give at least {MIN_CONTEXT}"
        )
    slots = config.slots or DEFAULT_SLOTS
    per_token = max(model.kv_bytes_per_token, 1)  # a recurrent model has no cells, but one state for each sequence
    room = memory // 2 // per_token if memory is not None else slots * context_size
    if config.kv == "split" and config.kv_tokens:
        raise ModelUnusable(f"{config.name}: kv_tokens sizes one pool for all slots: leave it out, or say kv: unified")
    prefers_pool = model.is_offloaded or config.kv_tokens is not None or slots * context_size > room
    unified = config.kv == "unified" or (config.kv is None and prefers_pool)
    if unified:
        kv_tokens = config.kv_tokens or max(context_size, min(slots * context_size, room))
        holders = slots if config.holders is None else config.holders
    else:
        holders = config.holders or 0
        kv_tokens = (slots + holders) * context_size
    max_batch = batch_rows(config.parameters.batch, on_gpu=model.is_offloaded)
    drafts = config.prompt_lookup is not False and model.can_cut_memory  # else a wrong draft could not be forgotten
    _check_fit(config, model, kv_tokens, context_size, memory)
    return Limits(
        context_size=context_size,
        slots=slots,
        holders=holders,
        kv="unified" if unified else "split",
        kv_tokens=kv_tokens,
        min_copy=1 if unified else MIN_COPY,
        max_batch=max_batch,
        max_scores=MAX_SCORES // max(model.num_heads, 1) if attention_of(config, model) == "off" else None,
        max_drafted=min(MAX_DRAFTED, max_batch - 1) if drafts else 0,
        default_max_tokens=config.default_max_tokens or DEFAULT_MAX_TOKENS,
        max_queue=DEFAULT_MAX_QUEUE if config.max_queue is None else config.max_queue,
    )


def _check_fit(config: ModelConfig, model: LlamaModel, kv_tokens: int, context_size: int, memory: int | None) -> None:
    if kv_tokens < context_size:
        raise ModelUnusable(f"{config.name}: kv_tokens ({kv_tokens}) is less than context_size ({context_size})")
    size = kv_tokens * model.kv_bytes_per_token
    if memory is not None and size > memory:
        raise ModelUnusable(
            f"{config.name}: a KV cache of {kv_tokens} tokens takes {size >> 20} MiB and {memory >> 20} MiB are free: "
            f"lower context_size, slots or kv_tokens{', or gpu_layers' if model.is_offloaded else ''}"
        )
