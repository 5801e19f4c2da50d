"""What a RunPod job asks of the service: its route and its payload, from the three forms that jobs come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from core.errors import InvalidRequest
from handlers.routes import find_target, with_model, wrong_method

FORMS = (
    '{"openai_route": "/v1/...", "openai_input": {...}} as RunPod\'s /openai/v1 proxy sends it, '
    '{"route": "/v1/...", "method": "POST", "body": {...}}, '
    'or {"messages": [...]}, {"prompt": "..."} or {"input": "..."} with the route\'s other parameters beside it or in '
    '"sampling_params"'
)

PLAIN_ROUTES = {
    "messages": "chat/completions",
    "prompt": "completions",
    "instruction": "edits",
    "input": "embeddings",
}
"""The first of these parameters that a plain job has tells its route."""


def route_and_payload(job: Mapping[str, Any]) -> tuple[str, object]:
    """Arguments for `Service.open`. Raises InvalidRequest, which tells the forms, UnknownRoute or MethodNotAllowed."""
    asked = job.get("input")
    if not isinstance(asked, Mapping):
        raise InvalidRequest(f"the job's input must be an object: {FORMS}", param="input")
    if "openai_route" in asked:
        return _routed(asked["openai_route"], asked.get("openai_input"))
    if "route" in asked:
        return _routed(asked["route"], asked.get("body"), asked.get("method"))
    for name, route in PLAIN_ROUTES.items():
        if name in asked:
            return route, _flattened(asked)
    raise InvalidRequest(f"the job's input has none of the known forms: {FORMS}", param="input")


def _routed(route: object, body: object, method: object = None) -> tuple[str, object]:
    """Without a body it is a GET, whose parameters stand in the route's query. Only a `method` that is given can be
    wrong: whoever gives none may put an empty body to a route of GET."""
    if not isinstance(route, str):
        raise InvalidRequest('the route must be text, such as "/v1/chat/completions"', param="route")
    try:
        url = urlsplit(route)
    except ValueError as error:
        raise InvalidRequest(f"the route {route!r} cannot be read: {error}", param="route") from error
    path, asked = unquote(url.path), str(method or ("GET" if body is None else "POST")).upper()
    target = find_target(asked, path)
    if method and asked != target.method:
        raise wrong_method(asked, path, target.method)
    return target.route, dict(parse_qsl(url.query)) if body is None else with_model(body, target.model)


def _flattened(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The body, with what is in `sampling_params` on top."""
    body = {name: value for name, value in asked.items() if name != "sampling_params"}
    sampling = asked.get("sampling_params") or {}
    if not isinstance(sampling, Mapping):
        raise InvalidRequest('sampling_params must be an object, such as {"max_tokens": 64}', param="sampling_params")
    if twice := sorted(body.keys() & sampling.keys()):
        raise InvalidRequest(f"{twice[0]} stands in sampling_params and beside it: say it once", param=twice[0])
    return {**body, **sampling}
