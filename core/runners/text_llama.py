"""GGUF text models, computed by llama.cpp."""

from __future__ import annotations

import logging
import threading

from core import coldstart
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.errors import ModelUnusable
from core.limits import Host, read_limits, this_host
from core.llama.context import ContextSettings, LlamaContext
from core.llama.devices import gpus
from core.llama.kernels import advice
from core.llama.model import LlamaModel, open_model
from core.llama.state import build
from core.packs.folder import PackFolder
from core.packs.survey import survey
from core.prompt.chat_template import ChatTemplate
from core.prompt.lint import lint
from core.prompt.prompts import Prompts
from core.runners.gpu import free_for_cache
from core.runners.planning import context_settings, kv_form, plan_limits, remarks_on
from core.runners.text import TextRunner

logger = logging.getLogger("warmfn.text")

UNCUT = "the memory of this model is one state, which cannot be cut back to the beginning of another prompt"


def load(config: ModelConfig) -> TextRunner:
    """Raises ModelUnusable."""
    threading.Thread(target=_log_advice, args=(config,), name=f"advice-{config.name}", daemon=True).start()
    with coldstart.phase("weights"):
        model = open_model(config)
    try:
        measured = read_limits(model.path, host(), kv_form(config, model))
        filled = measured.fill(config) if measured else config
        limits = plan_limits(filled, model, free_for_cache(model))
        template = chat_template(model)
        settings = context_settings(filled, model, limits)
        for remark in remarks_on(filled, settings):
            logger.info("%s: %s", config.name, remark)
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
