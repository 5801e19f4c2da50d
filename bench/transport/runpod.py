"""RunPod's queue: a job is posted to /run, and its stream fetched from /stream/{id} again and again.

What a poll brings was made some time before, several tokens together: such records know when text reached the client,
and nothing about the time between tokens.
"""

from __future__ import annotations

import asyncio
import json
from time import perf_counter_ns
from typing import Any

import aiohttp

from bench.record import POLL
from bench.transport.exchange import Exchange, retry_after_s
from bench.transport.http import new_session

POLL_SECONDS = 0.1
"""Between two polls that brought nothing."""
RUNNING = ("IN_QUEUE", "IN_PROGRESS")
PLATFORM_TIMES = {"delayTime": "delay_ms", "executionTime": "execution_ms"}
"""As /status names them; the delay is queue and cold start together."""


class RunPodFailure(Exception):
    """The endpoint did not take the job, or the job failed."""


class RunPodTransport:
    name = POLL

    def __init__(self, endpoint_url: str, api_key: str | None) -> None:
        """`endpoint_url` is https://api.runpod.ai/v2/ENDPOINT."""
        self._url = endpoint_url
        self._http = new_session(api_key)

    async def post(self, path: str, body: str, exchange: Exchange) -> None:
        payload = json.loads(body)
        job = {"input": {"openai_route": f"/v1{path}", "openai_input": payload}}
        exchange.t_send = perf_counter_ns()
        job_id: str | None = None
        try:
            job_id = str((await self._ask("POST", "/run", exchange, job))["id"])
            await self._follow(job_id, exchange, is_stream=payload.get("stream", False))
        except (aiohttp.ClientError, TimeoutError, RunPodFailure, KeyError, ValueError) as error:
            exchange.err = f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            if job_id is not None:  # else it would run on, and be paid for
                await self._ask("POST", f"/cancel/{job_id}", Exchange())
            raise
        finally:
            exchange.t_end = exchange.t_end or perf_counter_ns()

    async def _follow(self, job_id: str, exchange: Exchange, *, is_stream: bool) -> None:
        state = RUNNING[0]
        while state in RUNNING:
            news = await self._ask("GET", f"/stream/{job_id}", exchange)
            state = news["status"]
            if parts := news.get("stream"):
                came = perf_counter_ns()
                exchange.blocks.append((came, b"".join(_bytes(part["output"], is_stream) for part in parts)))
            elif state in RUNNING:
                await asyncio.sleep(POLL_SECONDS)
        exchange.t_end = perf_counter_ns()
        told = await self._ask("GET", f"/status/{job_id}", exchange)
        exchange.platform = {ours: told[theirs] for theirs, ours in PLATFORM_TIMES.items() if theirs in told}
        if state != "COMPLETED":
            raise RunPodFailure(f"the job is {state}: {told.get('error') or 'no reason given'}")

    async def _ask(self, method: str, path: str, exchange: Exchange, body: Any = None) -> dict[str, Any]:
        """Raises RunPodFailure unless the answer is a 200."""
        data = None if body is None else json.dumps(body)
        async with self._http.request(method, self._url + path, data=data) as response:
            exchange.status = response.status
            exchange.retry_after_s = retry_after_s(response.headers)
            text = await response.text()
            if response.status != 200:
                raise RunPodFailure(f"{path}: HTTP {response.status}: {text[:500]}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def close(self) -> None:
        await self._http.close()


def _bytes(output: Any, is_stream: bool) -> bytes:
    """Workers send whole events as text, or the object of an event or reply."""
    if isinstance(output, str):
        return output.encode()
    text = json.dumps(output).encode()
    return b"data: " + text + b"\n\n" if is_stream else text
