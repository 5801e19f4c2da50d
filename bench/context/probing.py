"""Starts `bench.context.memory_probe` for one context after another, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

from bench.context.memory import Probe
from bench.deployment import Deployment
from bench.errors import BenchError


def probe_of(deployment: Deployment, *, unified: bool) -> Probe:
    async def probe(context: int) -> int:
        job = {"models": deployment.models, "name": deployment.name, "context": context, "unified": unified}
        answer = json.loads(await _output(json.dumps(job)))
        if "error" in answer:
            raise BenchError(answer["error"])
        return int(answer["bytes"])

    return probe


async def _output(job: str) -> bytes:
    command = (sys.executable, "-m", "bench.context.memory_probe", job)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, start_new_session=True)
    try:
        output, words = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = words.decode(errors="replace").strip()[-500:]
        raise BenchError(f"the context did not load, status {process.returncode}: {last}")
    return output
