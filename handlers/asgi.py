"""The HTTP surface as one ASGI app: OpenAI's routes, health and metrics. Every HTTP host is a shell around it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from core.errors import BodyTooLarge, CoreError
from core.service import Service
from handlers.keys import KeyGuard
from handlers.payload import payload_of
from handlers.reply_response import ReplyResponse, error_response
from handlers.routes import Target, find_target, wrong_method
from handlers.time_limit import deadline_of

logger = logging.getLogger("warmfn.http")

MAX_BODY = 32 << 20
"""Bytes of a request body; Cloud Run takes no more either."""

OPENERS = 32
"""Threads that parse, template and tokenize, so that the event loop never does."""

WAITERS = 256
"""Threads that wait for a model to be loaded and then do the same: requests to one that is there need none of these."""


def create_app(
    get_service: Callable[[], Service],
    *,
    api_keys: Collection[str] = (),
    time_limits: Mapping[str, float] | None = None,
    max_body: int = MAX_BODY,
) -> ASGIApp:
    """The app; `get_service` is called within requests only, so that a host may fork after this. Where there are
    `api_keys`, all but health checks need one. `time_limits` as in `Settings`.

    Not a `Starlette`: that re-raises an unexpected exception after it has answered, and a host around it answers again.
    """
    router: ASGIApp = Router(_Routes(get_service, time_limits or {}, max_body).all())
    return ExceptionMiddleware(KeyGuard(router, api_keys) if api_keys else router, _EXCEPTION_HANDLERS)


class _Routes:
    def __init__(self, get_service: Callable[[], Service], time_limits: Mapping[str, float], max_body: int) -> None:
        self._service = get_service
        self._time_limits = time_limits
        self._max_body = max_body
        self._pages = {
            **dict.fromkeys(("/health", "/healthz"), self.health),
            **dict.fromkeys(("/ready", "/readyz"), self.ready),
            "/ping": self.ping,
            "/metrics": self.metrics,
        }
        self._openers = ThreadPoolExecutor(OPENERS, thread_name_prefix="open")
        self._waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="wait")

    def all(self) -> list[Route]:
        pages = [Route(path, page) for path, page in self._pages.items()]
        return [*pages, Route("/{path:path}", self.openai, methods=[])]  # which is every method

    async def openai(self, request: Request) -> Response:
        method, path = "GET" if request.method == "HEAD" else request.method, request.url.path
        if path in self._pages:
            raise wrong_method(method, path, "GET")
        target = find_target(method, path)
        if method != target.method:
            raise wrong_method(method, path, target.method)
        deadline = deadline_of(request, self._time_limits)
        body = await self._body(request)
        loop = asyncio.get_running_loop()
        payload = await loop.run_in_executor(self._openers, self._payload, request, target, body)
        threads = self._waiters if self._service().waits(payload) else self._openers
        open_reply = partial(self._service().open, target.route, payload, deadline)
        return ReplyResponse(await loop.run_in_executor(threads, open_reply))

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        status, details = self._readiness()
        return JSONResponse({"status": status, **details}, 200 if status == "ready" else 503)

    async def ping(self, request: Request) -> Response:
        """RunPod's load balancer: 204 means "still initializing", anything else but 200 that this worker is no good."""
        status, _ = self._readiness()
        return Response(status_code={"ready": 200, "loading": 204, "failed": 503}[status])

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(self._service().metrics.text(), media_type="text/plain; version=0.0.4")

    def _readiness(self) -> tuple[Literal["ready", "loading", "failed"], dict[str, Any]]:
        is_ready, details = self._service().catalog.readiness()
        if is_ready:
            return "ready", details
        return "loading" if "loading" in details["models"].values() else "failed", details

    def _payload(self, request: Request, target: Target, body: bytes) -> object:
        return payload_of(request, body, in_path=target.model, models=self._service().folder.configs)

    async def _body(self, request: Request) -> bytes:
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._max_body:
                raise BodyTooLarge(f"the body is larger than {self._max_body >> 20} MiB")
            chunks.append(chunk)
        return b"".join(chunks)


async def _core_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CoreError)
    return error_response(error)


async def _bug(request: Request, error: Exception) -> Response:
    """Nothing of a traceback reaches a client."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(CoreError("internal error; the server's log says more"))


_EXCEPTION_HANDLERS: dict[Any, Any] = {CoreError: _core_error, Exception: _bug}
