"""A child process of the bench that computes by itself what it is asked on its standard input, line by line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.target_spec import TargetSpec
from bench.targets.process import ChildProcess


class AskedChild:
    """Most of a target: `module` is run with the arguments and answers an empty line when it is ready."""

    def __init__(self, spec: TargetSpec, module: str, arguments: list[str], log: Path) -> None:
        self.spec = spec
        self._command = [sys.executable, "-m", module, *arguments]
        self._log = log
        self._process: ChildProcess | None = None

    async def start(self) -> None:
        self._process = await ChildProcess.start(self.spec.name, self._command, self._log, answers=True)
        await self._process.ask("")

    async def ask(self, job: object) -> Any:
        assert self._process is not None, "start it first"
        return json.loads(await self._process.ask(json.dumps(job)))

    def cpu_seconds(self) -> float | None:
        return self._process.cpu_seconds() if self._process else None

    async def stop(self) -> None:
        if self._process:
            await self._process.stop()
