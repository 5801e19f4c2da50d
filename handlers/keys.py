"""LocalAI's API keys: whoever has one may come in, health checks without."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import Unauthorized

OPEN_PATHS = frozenset({"/health", "/healthz", "/ready", "/readyz", "/ping"})


def bearer(headers: Headers) -> str:
    """The token of `Authorization: Bearer TOKEN`, or ""."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class KeyGuard:
    """Raises Unauthorized within the app for a request without one of `keys`, but for OPEN_PATHS."""

    def __init__(self, app: ASGIApp, keys: Collection[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            headers = Headers(scope=scope)
            self._check([token for token in (bearer(headers), headers.get("x-api-key")) if token])
        await self._app(scope, receive, send)

    def _check(self, tokens: list[str]) -> None:
        if not tokens:
            raise Unauthorized("this server wants a key: send `Authorization: Bearer KEY` or `x-api-key: KEY`")
        sent = [token.encode("latin-1") for token in tokens]  # as which Starlette reads headers
        # Every key is compared, and in constant time: how long it takes tells nothing about any.
        matches = [hmac.compare_digest(token, key) for token in sent for key in self._keys]
        if not any(matches):
            raise Unauthorized("the key in the header Authorization or x-api-key is not one of this server's")
