"""Drive the client against the scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from bench.calibrate.calibration import Calibration
from bench.calibrate.plays import GROUPS, SERVER, Play, compare, new_record, plays
from bench.calibrate.scripts import Script
from bench.client import Client
from bench.record import RequestRecord
from bench.scenario import Workload
from bench.targets.process import ChildProcess
from bench.transport.http import HttpTransport


async def calibrate(folder: Path) -> Calibration:
    """About three seconds. The server's log goes into `folder`. Raises BenchError if it does not start."""
    server = await ChildProcess.start("calibration", SERVER, folder / "calibration.log", answers=True)
    try:
        base_url = f"http://127.0.0.1:{int(await server.answer())}/v1"
        return compare([play for group in GROUPS for play in await _play(server, base_url, group)])
    finally:
        await server.stop()


async def _play(server: ChildProcess, base_url: str, scripts: Sequence[Script]) -> list[Play]:
    tasks = [asyncio.create_task(_ask(base_url, script, str(number))) for number, script in enumerate(scripts)]
    lines = [await server.answer() for _ in scripts]
    return plays(scripts, await asyncio.gather(*tasks), lines)


async def _ask(base_url: str, script: Script, prompt: str) -> RequestRecord:
    client = Client(HttpTransport(base_url), model=script.name, workload=Workload(), extra={})
    record = new_record(script)
    await client.send(prompt, record)
    await client.close()
    return record
