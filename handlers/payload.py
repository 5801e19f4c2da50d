"""What an HTTP request asks of the service: its route and its payload, from path, query, headers and body."""

from __future__ import annotations

import json
from collections.abc import Container

from starlette.requests import Request

from core.errors import InvalidRequest
from handlers.keys import bearer


def route_of(request: Request) -> str:
    """The service's route; `/v1/engines/MODEL/completions` is the old way to write `/v1/completions`."""
    path = request.url.path
    model = request.path_params.get("model")
    return path.partition("/engines/")[2].removeprefix(f"{model}/") if model else path


def payload_of(request: Request, body: bytes, models: Container[str]) -> object:
    """The body's JSON, with the model that the path names, or else the bearer token if that is one of `models` and the
    body names none (LocalAI's rule); the query where there is no body. Raises InvalidRequest."""
    if request.method != "POST":
        return dict(request.query_params)
    payload = _parse(body)
    if not isinstance(payload, dict):
        return payload
    in_path, in_body, token = request.path_params.get("model"), payload.get("model"), bearer(request.headers)
    if in_path and in_body and in_path != in_body:
        raise InvalidRequest(f"the path names model {in_path!r} and the body {in_body!r}: name one", param="model")
    model = in_path or in_body or (token if token in models else None)
    return payload | {"model": model}


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
