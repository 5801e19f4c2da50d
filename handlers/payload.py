"""What an HTTP request asks of the service: its payload, from path, query, headers and body."""

from __future__ import annotations

import json
from collections.abc import Container

from starlette.requests import Request

from core.errors import InvalidRequest
from handlers.keys import bearer
from handlers.routes import with_model


def payload_of(request: Request, body: bytes, *, in_path: str | None, models: Container[str]) -> object:
    """The body's JSON, with the model `in_path`, or else the bearer token if that is one of `models` and the body names
    none (LocalAI's rule); the query where there is no body. Raises InvalidRequest."""
    if request.method != "POST":
        return dict(request.query_params)
    payload = with_model(_parse(body), in_path)
    token = bearer(request.headers)
    if isinstance(payload, dict) and not payload.get("model") and token in models:
        return payload | {"model": token}
    return payload


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
