"""What of a text model's config counts from one request to the next, and what needs a load."""

from __future__ import annotations

import logging
from collections.abc import Sequence as List
from dataclasses import dataclass
from typing import Any

from core.config.model import ModelConfig
from core.config.problem import Problem
from core.prompt.cleanup import Cleanup, cleanup_of
from core.prompt.lint import lint
from core.prompt.lint.subject import Vocabulary
from core.prompt.prompts import OwnTemplate, Prompts

logger = logging.getLogger("warmfn.text")

_BEHAVIOUR = {
    *("source", "compat", "defaults", "roles", "system_prompt", "template", "templates"),
    *("stopwords", "cutstrings", "extract_regex", "trimspace", "trimsuffix"),
}
_LOADED_PARAMETERS = {"model", "batch", "rope_freq_base", "rope_freq_scale"}


@dataclass(frozen=True)
class Behaviour:
    """What of a config may change from one request to the next."""

    config: ModelConfig
    prompts: Prompts
    cleanup: Cleanup
    problems: List[Problem]
    """What the doctor says of the prompts."""


def behaviour_of(config: ModelConfig, template: OwnTemplate | None, vocabulary: Vocabulary) -> Behaviour:
    """Problems are logged. Raises ModelUnusable if prompts cannot be made."""
    problems = lint(config, template, vocabulary)
    for problem in problems:
        logger.warning("%s", problem)
    return Behaviour(config, Prompts(config, template), cleanup_of(config), problems)


def what_is_loaded(config: ModelConfig) -> dict[str, Any]:
    """What of a config decides about weights, context and batches."""
    loaded = config.model_dump(exclude=_BEHAVIOUR | {"parameters"})
    return loaded | config.parameters.model_dump(include=_LOADED_PARAMETERS)
