"""A typed config against its folder and against what we can do: its engine, its keys, its templates, its weights."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from core.config.backends import check_weights
from core.config.entry import Entry
from core.config.model import ModelConfig
from core.config.notices import notices
from core.config.prefixes import with_texts
from core.config.problem import ConfigFault, NotMade, NotPulled, Problem, Severity
from core.config.spelling import misspelt_keys
from core.config.templates import KINDS, Finding, TemplateFolder
from core.config.unused import unused_texts
from core.config.weight_files import WeightsState, weights_state


def check(entry: Entry, config: ModelConfig) -> tuple[ModelConfig, list[Problem]]:
    """The config with its templates found, and everything that is wrong with it. Loads nothing.

    Of a config for an engine that we lack only that is said: its other keys are not meant for us.
    """
    fault = _fault(config)
    severity: Severity = "warning" if isinstance(fault, NotPulled | NotMade) else "error"
    problems = [entry.problem(tuple(fault.key.split(".")), fault.reason, severity)] if fault else []
    if fault and fault.key != "parameters.model":
        return config, problems
    folder = TemplateFolder(
        config.root,
        str(entry.path),
        entry.named,
        beside=tuple(_weights_names(config)),
        is_strict=config.compat == "strict",
    )
    templates, findings = folder.resolve({kind: text for kind in KINDS if (text := entry.written(("template", kind)))})
    told = [_problem(entry, finding) for finding in findings]
    prefixes, unread = with_texts(config.prefixes, config.root)
    told += [entry.problem(("prefixes", index, "file"), message, "warning") for index, message in unread]
    found = {"templates": templates, "weights_state": _state(config), "prefixes": prefixes}
    config = config.model_copy(update=found)
    return config, [*_warnings(entry, config), *told, *problems]


def _fault(config: ModelConfig) -> ConfigFault | None:
    try:
        check_weights(config)
    except ConfigFault as fault:
        return fault
    return None


def _state(config: ModelConfig) -> WeightsState | None:
    try:
        return weights_state(config.weights)
    except ConfigFault:
        return None


def _warnings(entry: Entry, config: ModelConfig) -> Iterator[Problem]:
    for key, message in (*notices(entry.values), *misspelt_keys(entry.values), *unused_texts(config)):
        yield entry.problem(key, message, "warning")
    yield from _of_packs(entry, config)
    yield from _of_cache(entry, config)
    others = (file for file in config.download_files if file.filename != config.parameters.model)
    if absent := [file for file in others if not os.path.exists(config.root / file.filename)]:
        names = ", ".join(file.filename for file in absent)
        message = f"{names}: not fetched at start: run `warmfn pull {' '.join(file.uri for file in absent)}`"
        yield entry.problem(("download_files",), message, "warning")


def _of_packs(entry: Entry, config: ModelConfig) -> Iterator[Problem]:
    if config.prefixes and config.embeddings:
        yield entry.problem(("prefixes",), "a model that embeds has no prompts: remove them", "warning")
    if config.prompt_cache_all and not config.prompt_cache_path:
        message = "no pack is written without a folder for them: name one in prompt_cache_path"
        yield entry.problem(("prompt_cache_all",), message, "warning")
    if config.prompt_cache_path and os.path.isfile(config.root / config.prompt_cache_path):
        message = "this is a file, perhaps a cache of LocalAI's own, and prefix packs need a folder: give another name"
        yield entry.problem(("prompt_cache_path",), message, "warning")


def _of_cache(entry: Entry, config: ModelConfig) -> Iterator[Problem]:
    if config.embeddings:
        for key in ("cache_type_k", "cache_type_v", "swa_full"):
            if getattr(config, key) not in (None, "f16"):
                yield entry.problem((key,), "no effect on a model that embeds: remove it", "warning")
    if config.yarn_attn_factor and (config.rope_scaling == "yarn" or config.yarn_ext_factor):
        message = "no effect, llama.cpp computes it from rope_freq_scale where YaRN is on: remove it"
        yield entry.problem(("yarn_attn_factor",), message, "warning")


def _problem(entry: Entry, finding: Finding) -> Problem:
    if not finding.file:
        return entry.problem(("template", finding.kind), finding.message, finding.severity, line=finding.line)
    key = f"template.{finding.kind}"
    return Problem(str(finding.file), finding.line, key, finding.message, finding.severity, entry.name)


def _weights_names(config: ModelConfig) -> list[str]:
    """As the YAML has it, and as a download was saved."""
    names = [config.parameters.model or config.name]
    with contextlib.suppress(ConfigFault):
        names.append(str(config.weights.relative_to(config.root)))
    return names
