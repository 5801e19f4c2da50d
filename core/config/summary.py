"""What can be said of a model without loading it, for people and programs that look at a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.config.backends import Backend, check_weights, choose_backend
from core.config.folder import ModelsFolder
from core.config.loose import cached_header
from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.weight_files import is_gguf, weights_state
from core.errors import ModelUnusable
from core.packs.folder import PackFolder

Kind = Literal["text", "embedding"]


@dataclass(frozen=True)
class Summary:
    """None means "not known". `weights` is a path in the folder, None where it is missing, and `bytes` its size.

    `context_size` is the YAML's, `trained_context` the weights'. `template` is where chat prompts come from: a .tmpl
    file of the folder, "inline" (in the YAML), "weights" (inside the GGUF), or "none".
    """

    name: str
    kind: Kind | None
    backend: Backend | None
    weights: str | None
    bytes: int | None
    context_size: int | None
    trained_context: int | None
    template: str | None
    problems: tuple[Problem, ...]

    @property
    def is_usable(self) -> bool:
        return self.weights is not None and not self.has_errors

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"usable": self.is_usable, "problems": [problem.as_json() for problem in self.problems]}


def summarize(folder: ModelsFolder) -> list[Summary]:
    """Every model of the folder. Opens headers, loads nothing."""
    return [_summary(folder, config) for config in folder.configs.values()]


def other_problems(folder: ModelsFolder) -> list[Problem]:
    """Those of files that give no model."""
    return [problem for problem in folder.problems if problem.model not in folder.configs]


def _summary(folder: ModelsFolder, config: ModelConfig) -> Summary:
    backend, path = _backend(config), _path(config)
    problems = [problem for problem in folder.problems if problem.model == config.name]
    trained, has_template = None, None
    try:
        if path and backend:
            check_weights(config)
            trained, has_template = _facts(path)
            problems += _packs(config)
    except ModelUnusable as error:  # a header may be damaged in ways that reading the folder does not look for
        if not any(problem.severity == "error" for problem in problems):
            problems.append(Problem(config.place, None, "parameters.model", error.message, model=config.name))
    return Summary(
        name=config.name,
        kind="text" if backend == "llama-text" else "embedding" if backend else None,
        backend=backend,
        weights=str(path.relative_to(config.root)) if path else None,
        bytes=weights_state(path).num_bytes if path else None,
        context_size=config.context_size,
        trained_context=trained,
        template=_template(config, has_template=has_template) if backend == "llama-text" else None,
        problems=tuple(problems),
    )


def _backend(config: ModelConfig) -> Backend | None:
    try:
        return choose_backend(config)
    except ModelUnusable:
        return None


def _path(config: ModelConfig) -> Path | None:
    try:
        return config.weights
    except ModelUnusable:
        return None


def _facts(path: Path) -> tuple[int | None, bool | None]:
    """The trained window, and whether there is a chat template inside the weights. Raises ModelUnusable."""
    if is_gguf(path):
        header = cached_header(path)
        return header.context_length, header.chat_template is not None
    try:
        settings = json.loads((path / "sentence_bert_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None, None
    length = settings.get("max_seq_length") if isinstance(settings, dict) else None
    return length if isinstance(length, int) else None, None


def _packs(config: ModelConfig) -> list[Problem]:
    """Packs that are damaged, or of other weights."""
    _, faults = PackFolder(config).packs()
    return [Problem(config.place, None, None, fault, "warning", config.name) for fault in faults]


def _template(config: ModelConfig, *, has_template: bool | None) -> str | None:
    own = config.templates.get("chat") or config.templates.get("chat_message")
    if own is None or config.template.use_tokenizer_template:
        return None if has_template is None else "weights" if has_template else "none"
    origin = Path(own.origin)
    return str(origin.relative_to(config.root)) if origin.is_relative_to(config.root) and origin.is_file() else "inline"
