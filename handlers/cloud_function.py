"""Targets for functions-framework, which deploys this file by itself: `functions-framework --target openai --source
handlers/cloud_function.py`, or the same without gunicorn: `FUNCTION_TARGET=openai
FUNCTION_SOURCE=handlers/cloud_function.py uvicorn functions_framework.aio:app`.

`openai` is the whole HTTP surface. `chat` and `embeddings` take a POST on any path for theirs; the rest is the same.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import functions_framework.aio
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

# A host that builds from source installs our requirements and not ourselves.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from handlers import boot
from handlers.asgi import create_app
from handlers.drain import drain_on_signals
from handlers.settings import Settings

_settings = Settings.from_environ()
_surface = create_app(boot.service, api_keys=_settings.api_keys, time_limits=_settings.time_limits)

boot.begin()


@cache
def _expect_the_end() -> None:
    drain_on_signals(_settings.drain_seconds)


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    _expect_the_end()
    await _surface(scope, receive, send)


@functions_framework.aio.http  # type: ignore[untyped-decorator]
async def openai(request: Request) -> ASGIApp:
    """functions-framework calls what is returned as an ASGI app."""
    return _app


@functions_framework.aio.http  # type: ignore[untyped-decorator]
async def chat(request: Request) -> ASGIApp:
    return _posting_to("/v1/chat/completions")


@functions_framework.aio.http  # type: ignore[untyped-decorator]
async def embeddings(request: Request) -> ASGIApp:
    return _posting_to("/v1/embeddings")


def _posting_to(path: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await _app(scope, receive, send)

    return app
