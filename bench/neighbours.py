"""Busy neighbours, as a stage may ask for them: what a server gives on a host that it does not have to itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SPIN = "import os\nbench = os.getppid()\nwhile os.getppid() == bench:\n    pass"
"""Ends with the bench, however that ends."""


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
