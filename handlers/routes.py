"""OpenAI's routes and their methods. HTTP requests and jobs go by them alike, and are told of a mistake in one way."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import InvalidRequest, MethodNotAllowed, UnknownRoute

METHODS = {
    "chat/completions": "POST",
    "completions": "POST",
    "edits": "POST",
    "embeddings": "POST",
    "models": "GET",
}
"""Each route lies below /v1 and without it; below `models`, each model's name is one more."""

ENGINES = re.compile("engines/(?P<model>.+?)/(?P<route>chat/completions|completions|embeddings)")
"""The old way to name the model: /v1/engines/MODEL/completions is /v1/completions."""


@dataclass(frozen=True)
class Target:
    """What a path leads to: the service's route, the method that it takes, and the model that the path names."""

    route: str
    method: str
    model: str | None


def find_target(method: str, path: str) -> Target:
    """Raises UnknownRoute, which tells `method`, too; whether that is the right one is for the caller to see."""
    route, model = path.strip("/").removeprefix("v1/"), None
    if engine := ENGINES.fullmatch(route):
        route, model = engine["route"], engine["model"]
    takes = METHODS.get("models" if route.startswith("models/") else route)
    if takes is None:
        raise UnknownRoute(f"{method} {path}: there is no such route; see /v1/models and the README")
    return Target(route, takes, model)


def wrong_method(method: str, path: str, takes: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"{method} {path}: this route takes {takes}")


def with_model(body: object, in_path: str | None) -> object:
    """`body`, with the model that the path names, if any. Raises InvalidRequest where the body names another."""
    if in_path is None or not isinstance(body, dict):
        return body
    in_body = body.get("model")
    if in_body and in_body != in_path:
        raise InvalidRequest(f"the path names model {in_path!r} and the body {in_body!r}: name one", param="model")
    return body | {"model": in_path}
