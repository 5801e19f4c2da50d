"""A server from its command on: when it listens, when it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import aiohttp

from bench.errors import BenchError
from bench.targets.doors import START_SECONDS, free_port
from bench.targets.process import ChildProcess
from bench.targets.programs import ServerProgram
from bench.transport.http import new_session

LISTENING_POLL = 0.005
READY_POLL = 0.02
"""Seconds between two looks, by which a moment may be told late. To ask whether it is ready costs a server about a
millisecond, to refuse a connection costs it nothing."""


@dataclass(frozen=True)
class FreshServer:
    """Moments are perf_counter_ns; `base_url` includes /v1."""

    process: ChildProcess
    base_url: str
    begun: int
    listening: int
    ready: int


@asynccontextmanager
async def fresh_server(name: str, program: ServerProgram, log: Path) -> AsyncIterator[FreshServer]:
    """Ready, and ended with the block. Raises BenchError with its last words if it dies or never is."""
    port = free_port()
    begun = perf_counter_ns()
    process = await ChildProcess.start(name, program.command(port), log, environ=program.environ)
    try:
        listening = await _within_limit(_until_listening(process, port), process)
        ready = await _within_limit(_until_ready(process, f"http://127.0.0.1:{port}{program.ready}"), process)
        yield FreshServer(process, f"http://127.0.0.1:{port}/v1", begun, listening, ready)
    finally:
        await process.stop()


async def _within_limit(moment: Awaitable[int], process: ChildProcess) -> int:
    try:
        return await asyncio.wait_for(moment, START_SECONDS)
    except TimeoutError as error:
        words = f"{process.name} is not ready after {START_SECONDS:.0f} s:\n{process.last_words()}"
        raise BenchError(words) from error


async def _until_listening(process: ChildProcess, port: int) -> int:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            process.check_alive()
            await asyncio.sleep(LISTENING_POLL)
        else:
            now = perf_counter_ns()
            writer.close()
            return now


async def _until_ready(process: ChildProcess, url: str) -> int:
    async with new_session(None) as http:
        while not await _is_ready(http, url, process):
            process.check_alive()
            await asyncio.sleep(READY_POLL)
        return perf_counter_ns()


async def _is_ready(http: aiohttp.ClientSession, url: str, process: ChildProcess) -> bool:
    """Ours says so if it will never be."""
    try:
        async with http.get(url) as response:
            if response.status != 200 and '"status":"failed"' in await response.text():
                raise BenchError(f"{process.name} cannot load its model:\n{process.last_words()}")
            return response.status == 200
    except aiohttp.ClientError:
        return False
