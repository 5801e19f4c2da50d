"""Busy neighbours, as a stage may ask for them: what a server gives on a host that it does not have to itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.errors import BenchError
from bench.scenario import Scenario
from bench.targets.given_server import is_here

SPIN = "import os\nbench = os.getppid()\nwhile os.getppid() == bench:\n    pass"
"""Ends with the bench, however that ends."""


def check_neighbours(scenario: Scenario) -> None:
    """Raises BenchError where they would be busy on one host, and the target on another."""
    stages = [entry.name for entry in scenario.load if entry.neighbours]
    for target in scenario.targets if stages else ():
        if target.url and not is_here(target.url):
            raise BenchError(
                f"load {stages[0]!r}: neighbours: they keep cores of this host busy, and target {target.name!r} is on "
                f"another ({target.url}): run the bench there, or leave `neighbours` or that target out"
            )


@asynccontextmanager
async def busy_neighbours(count: int) -> AsyncIterator[None]:
    """As many processes that each keep a core busy, until the block ends."""
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", SPIN) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            await process.wait()
