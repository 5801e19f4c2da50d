"""Examines models without loading their weights: the files of their folder, and the prompts their templates make.

Invariant: a model's examination never fails; whatever goes wrong is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.config.backends import check_weights
from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.config.problem import ConfigFault, Problem
from core.errors import CoreError


@dataclass(frozen=True)
class Diagnosis:
    """What was found about one model; `model` is None for files that belong to none. `advice` is how it could be
    served better here; nothing is wrong with it as it is."""

    model: str | None
    problems: list[Problem]
    advice: list[str] = field(default_factory=list)

    @property
    def is_fit(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        problems = [problem.as_json() for problem in self.problems]
        return {"model": self.model, "fit": self.is_fit, "problems": problems, "advice": self.advice}


def examine(folder: ModelsFolder, names: Iterable[str] = ()) -> Iterator[Diagnosis]:
    """Each model's diagnosis as soon as it is there; without `names`, all models and then the other files."""
    chosen = list(names) or list(folder.configs)
    for name in chosen:
        problems = [problem for problem in folder.problems if problem.model == name]
        config = folder.configs[name]
        yield Diagnosis(name, problems + list(_examine_model(config)), list(_advise(config)))
    others = [problem for problem in folder.problems if problem.model not in folder.configs]
    if others and not names:
        yield Diagnosis(None, others)


def _examine_model(config: ModelConfig) -> Iterator[Problem]:
    try:
        if check_weights(config) == "llama-text":
            from core.runners.text_llama import examine_prompts

            yield from examine_prompts(config)
    except ConfigFault:
        return  # which the folder's reader has told
    except CoreError as error:
        yield Problem(config.place, None, None, error.message, model=config.name)


def _advise(config: ModelConfig) -> Iterator[str]:
    try:
        if check_weights(config) == "llama-text":
            from core.runners.text_llama import speed_advice

            if advice := speed_advice(config):
                yield advice
    except CoreError:
        return  # which is told as a problem
