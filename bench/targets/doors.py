"""How a target is started and reached: over HTTP, through a pipe, through RunPod's queue."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Protocol

import aiohttp

from bench.errors import BenchError
from bench.target_spec import TargetSpec
from bench.targets.given_server import GivenServer
from bench.targets.process import ChildProcess
from bench.targets.programs import ServerProgram
from bench.transport.exchange import Transport
from bench.transport.http import HttpTransport, new_session
from bench.transport.pipe import PipeTransport
from bench.transport.runpod import RunPodTransport

START_SECONDS = 600.0
POLL_SECONDS = 0.1


class Door(Protocol):
    process: ChildProcess | None
    """Ours to see and to stop, also after a start that failed; None for what runs already."""

    async def open(self) -> Transport:
        """Return when the target can be asked; raise BenchError with its last words if it never will be."""

    def cpu_seconds(self) -> float | None:
        """Used so far by its processes on this host, or None if they are not ours to see."""


class UrlDoor:
    """A server that runs already, at `spec.url`."""

    process: ChildProcess | None = None

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        self._server = GivenServer(str(spec.url))

    async def open(self) -> Transport:
        base_url, api_key = str(self._spec.url).rstrip("/"), self._spec.api_key()
        if self._spec.kind == "runpod":
            base_url += "/openai/v1"
        if problem := await _problem(f"{base_url}/models", api_key):
            raise BenchError(
                f"{self._spec.name}: {base_url}/models is not ready ({problem}): start it, or correct its address"
            )
        return HttpTransport(base_url, api_key)

    def cpu_seconds(self) -> float | None:
        return self._server.cpu_seconds()


class RunPodDoor:
    """An endpoint's queue. Nothing there tells whether it is ready without a job; the first one waits for it."""

    process: ChildProcess | None = None

    def __init__(self, spec: TargetSpec) -> None:
        self._spec = spec
        self._server = GivenServer(str(spec.url))

    async def open(self) -> Transport:
        return RunPodTransport(str(self._spec.url).rstrip("/"), self._spec.api_key())

    def cpu_seconds(self) -> float | None:
        return self._server.cpu_seconds()


class ProgramDoor:
    """A server started here on a free local port."""

    def __init__(self, spec: TargetSpec, program: ServerProgram, log: Path) -> None:
        self.process: ChildProcess | None = None
        self._name = spec.name
        self._program = program
        self._log = log

    def cpu_seconds(self) -> float | None:
        return self.process.cpu_seconds() if self.process else None

    async def open(self) -> HttpTransport:
        port = free_port()
        command, environ = self._program.command(port), self._program.environ
        self.process = await ChildProcess.start(self._name, command, self._log, environ=environ)
        await self._wait_until_ready(f"http://127.0.0.1:{port}{self._program.ready}")
        return HttpTransport(f"http://127.0.0.1:{port}/v1")

    async def _wait_until_ready(self, url: str) -> None:
        assert self.process is not None
        give_up = monotonic() + START_SECONDS
        while problem := await _problem(url, None):
            if monotonic() > give_up:
                raise BenchError(
                    f"{self._name}: {url} is not ready after {START_SECONDS:g} s ({problem}): see {self._log}"
                )
            self.process.check_alive()
            await asyncio.sleep(POLL_SECONDS)


class PipeDoor:
    """Our app in a process of its own, without a socket."""

    def __init__(self, spec: TargetSpec, environ: Mapping[str, str], log: Path) -> None:
        self.process: ChildProcess | None = None
        self._name = spec.name
        self._environ = environ
        self._log = log

    def cpu_seconds(self) -> float | None:
        return self.process.cpu_seconds() if self.process else None

    async def open(self) -> Transport:
        command = [sys.executable, "-m", "bench.targets.in_process"]
        self.process = await ChildProcess.start(self._name, command, self._log, answers=True, environ=self._environ)
        await self.process.answer()
        return PipeTransport(self.process)


async def _problem(url: str, api_key: str | None) -> str | None:
    """Why the server is not ready, or None if it is."""
    try:
        async with new_session(api_key) as http, http.get(url) as response:
            return None if response.status == 200 else f"HTTP {response.status}"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
