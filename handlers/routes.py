"""OpenAI's routes and their methods. HTTP requests and jobs go by them alike, and are told of a mistake in one way."""

from __future__ import annotations

from core.errors import MethodNotAllowed, UnknownRoute

METHODS = {
    "chat/completions": "POST",
    "completions": "POST",
    "edits": "POST",
    "embeddings": "POST",
    "models": "GET",
}
"""Each route lies below /v1 and without it; below `models`, each model's name is one more."""


def method_of(path: str) -> str | None:
    """What the route takes; None if there is no such route."""
    route = path.strip("/").removeprefix("v1/")
    return METHODS.get("models" if route.startswith("models/") else route)


def no_route(method: str, path: str) -> UnknownRoute:
    return UnknownRoute(f"{method} {path}: there is no such route; see /v1/models and the README")


def wrong_method(method: str, path: str, takes: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"{method} {path}: this route takes {takes}")
