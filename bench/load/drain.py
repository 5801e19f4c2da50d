"""The end of a stage: what was sent may finish, for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from bench.record import CUT_OFF, INTERRUPTED
from bench.sample import Sample


async def drain(tasks: Collection[asyncio.Task[None]], seconds: float, sample: Sample) -> None:
    """Wait for the tasks; cancel those that are still running after so many seconds and mark their requests, which were
    due and count: leaving the slowest out would flatter the server."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for record in sample.records:
        if late and record.err == INTERRUPTED:
            record.err = CUT_OFF
