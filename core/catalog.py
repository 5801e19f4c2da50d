"""What the service tells about its models: OpenAI's list, readiness, how long each took to start.

Invariant: nothing here, and no error that goes to a client, names a path outside the models folder.
"""

from __future__ import annotations

from typing import Any

from core import coldstart
from core.config.backends import choose_backend
from core.config.model import ModelConfig
from core.errors import InvalidRequest, ModelUnusable
from core.registry import Registry
from core.schema.public_text import public_text


class Catalog:
    """A view of the registry and its folder as they are now."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def models(self) -> dict[str, Any]:
        """OpenAI's list, with each model's state and limits beside its name, and what is wrong with the folder."""
        folder = self._registry.folder
        data = [self.model(name) for name in folder.configs]
        return {"object": "list", "data": data, "problems": [self.public(str(problem)) for problem in folder.problems]}

    def model(self, name: str) -> dict[str, Any]:
        """Raises UnknownModel."""
        config, status = self._registry.config(name), self._registry.status(name)
        created = int(config.source.stat().st_mtime) if config.source and config.source.exists() else 0
        known = [problem for problem in self._registry.folder.problems if problem.model == name]
        told = (*known, *(status.runner.problems if status.runner else ()))
        problems = [self.public(str(problem)) for problem in told]
        facts = {"kind": status.runner.kind} | status.runner.facts if status.runner else {}
        return (
            {"id": name, "object": "model", "created": created, "owned_by": "warmfn", "state": status.state}
            | facts
            | ({"error": self.public(status.error)} if status.error else {})
            | ({"problems": problems} if problems else {})
        )

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether traffic may come; each model's state, and what is wrong with the folder."""
        folder = self._registry.folder
        states = {name: self._registry.status(name) for name in folder.configs}
        complaints = [f"{name}: {status.error}" for name, status in states.items() if status.error]
        errors = [str(problem) for problem in folder.problems if problem.severity == "error"]
        problems = [self.public(text) for text in errors + complaints]
        models = {name: status.state for name, status in states.items()}
        return self._registry.is_ready, {"models": models, "problems": problems}

    def first(self, *, embeds: bool) -> str:
        """The model for a request that names none, as in LocalAI. Raises InvalidRequest."""
        for name, config in self._registry.folder.configs.items():
            if _embeds(config) == embeds:
                return name
        raise InvalidRequest("model: is missing, and no model here can answer this route", param="model")

    def starts(self) -> dict[str, coldstart.Phases]:
        """Each loaded model's phases; those of the process under an empty name."""
        loads = {name: self._registry.status(name).phases for name in self._registry.folder.configs}
        return {"": coldstart.process} | {name: phases for name, phases in loads.items() if phases}

    def public(self, text: str) -> str:
        """`text` as a client may read it."""
        return public_text(text, self._registry.folder.path)


def _embeds(config: ModelConfig) -> bool | None:
    """Whether the config is of an embedding model; None if it is of none that we can serve."""
    try:
        return choose_backend(config) != "llama-text"
    except ModelUnusable:
        return None
