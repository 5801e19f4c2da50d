"""The functions-framework target `openai`: `functions-framework --target openai --source handlers/cloud_function.py`,
or the same without gunicorn: `FUNCTION_TARGET=openai FUNCTION_SOURCE=handlers/cloud_function.py uvicorn
functions_framework.aio:app`."""

from __future__ import annotations

import functions_framework.aio
from starlette.requests import Request
from starlette.types import ASGIApp

from handlers import boot
from handlers.asgi import create_app
from handlers.settings import Settings

_app = create_app(boot.service, api_keys=Settings.from_environ().api_keys)

boot.begin()


@functions_framework.aio.http  # type: ignore[untyped-decorator]
async def openai(request: Request) -> ASGIApp:
    """The whole HTTP surface: functions-framework calls what is returned as an ASGI app."""
    return _app
