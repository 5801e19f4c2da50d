"""A program that the bench starts, watches and stops, and no other program ever.

It lives in a session of its own: Ctrl-C reaches only the bench, which stops its children in order. Its standard input
is a pipe that closes with the bench, however the bench ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from bench.errors import BenchError
from bench.host import session_cpu_seconds

STOP_SECONDS = 15.0
LINE_LIMIT = 2**26
"""Bytes in one line of a child's output; the ceiling answers a whole stage in one."""


class ChildProcess:
    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(
        cls,
        name: str,
        command: list[str],
        log: Path,
        *,
        answers: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """What it prints goes to `log`, except that the standard output of one that `answers` is kept for `ask`.
        `environ` is added to ours."""
        with log.open("wb") as file:
            output = PIPE if answers else file
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=output,
                stderr=file,
                start_new_session=True,
                limit=LINE_LIMIT,
                env=os.environ | dict(environ or {}),
            )
        return cls(name, process, log)

    def cpu_seconds(self) -> float:
        """Used so far by the process and everything it started."""
        return session_cpu_seconds(self._process.pid)

    def check_alive(self) -> None:
        if self._process.returncode is not None:
            raise BenchError(f"{self.name} ended with status {self._process.returncode}:\n{self.last_words()}")

    async def ask(self, line: str) -> str:
        """Send one line, wait for one line."""
        self.write(line)
        return await self.answer()

    async def answer(self) -> str:
        """Its next line. Raises BenchError with its last words if it has ended instead."""
        answer = await self.read_line()
        if not answer:
            await self._process.wait()
            self.check_alive()
        return answer.decode()

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def read_line(self) -> bytes:
        """Empty when the child has closed its output."""
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def stop(self) -> None:
        """Ask politely, then insist. Safe to call for a process that has ended. Who is cancelled meanwhile still waits
        for its end, so that none is left behind."""
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _end(self) -> None:
        for request in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is None:
                with suppress(ProcessLookupError):  # it ended, and the loop does not know yet
                    os.killpg(self._process.pid, request)
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
                return
            except TimeoutError:
                continue

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:].strip() or f"(nothing in {self._log.name})"
