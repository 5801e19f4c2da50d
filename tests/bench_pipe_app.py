"""A small ASGI app in a process of its own, for the pipe. Asked for a path, it makes that file and waits for ever."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from bench.targets.in_process import serve
from tests.bench_stub import DONE, ROLE, delta, usage


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = json.loads((await receive())["body"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"retry-after", b"7")]})
    for part in (ROLE, delta(content="a"), delta(content=scope["path"])):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0.002)
    asked = body["messages"][0]["content"]
    if asked.startswith("/"):
        Path(asked).touch()
        assert (await receive())["type"] == "http.disconnect"
    if asked == "die":
        os._exit(3)
    await send({"type": "http.response.body", "body": usage(20, 2) + DONE, "more_body": False})


if __name__ == "__main__":
    asyncio.run(serve(app))
