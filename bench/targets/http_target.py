"""An OpenAI-compatible server as a target: one that runs already, or a program started here on a free local port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import aiohttp

from bench.client import StreamingClient
from bench.errors import BenchError
from bench.load.drive import drive
from bench.request import extra_fields
from bench.sample import Sample
from bench.scenario import TargetSpec, Workload
from bench.targets.process import ChildProcess

START_SECONDS = 600.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ServerProgram:
    """`command` gives the command line for a port, `ready` is the path that answers 200 when the model is loaded."""

    command: Callable[[int], list[str]]
    ready: str


class HttpTarget:
    """Without a `program` the server is at `spec.url`, and its processes are not ours to start, see or stop.
    `base_url` is right once it has started."""

    def __init__(
        self, spec: TargetSpec, *, model: str, workload: Workload, log: Path, program: ServerProgram | None = None
    ) -> None:
        self.spec = spec
        self.base_url = str(spec.url).rstrip("/")
        self._model = spec.model or model
        self._workload = workload
        self._log = log
        self._program = program
        self._process: ChildProcess | None = None
        self._client: StreamingClient | None = None

    async def start(self) -> None:
        ready_url = f"{self.base_url}/models"
        if self._program:
            address = f"http://127.0.0.1:{_free_port()}"
            self.base_url, ready_url = f"{address}/v1", address + self._program.ready
            command = self._program.command(int(address.rpartition(":")[2]))
            self._process = await ChildProcess.start(self.spec.name, command, self._log)
        await self._wait_until_ready(ready_url)
        extra = extra_fields(self.spec, self._workload)
        self._client = StreamingClient(self.base_url, model=self._model, workload=self._workload, extra=extra)

    async def measure(self, prompts: Sequence[str], sample: Sample) -> None:
        assert self._client is not None, "start it first"
        await drive(self._client.send, prompts, sample)
        if self._process:
            self._process.check_alive()

    def cpu_seconds(self) -> float | None:
        return self._process.cpu_seconds() if self._process else None

    async def stop(self) -> None:
        if self._client:
            await self._client.close()
        if self._process:
            await self._process.stop()

    async def _wait_until_ready(self, url: str) -> None:
        give_up = monotonic() + START_SECONDS
        async with aiohttp.ClientSession() as http:
            while problem := await _problem(http, url):
                if self._process is None or monotonic() > give_up:
                    raise BenchError(f"{self.spec.name}: {url} is not ready ({problem})")
                self._process.check_alive()
                await asyncio.sleep(POLL_SECONDS)


async def _problem(http: aiohttp.ClientSession, url: str) -> str | None:
    """Why the server is not ready, or None if it is."""
    try:
        async with http.get(url) as response:
            return None if response.status == 200 else f"HTTP {response.status}"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
