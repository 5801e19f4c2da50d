"""The open loop: requests go out when they are due, whether or not earlier ones have been answered.

A closed loop asks less of a server that is slow, and so leaves out the very requests that would have waited
(coordinated omission). Here a stall delays nothing but answers, and every wait counts from the moment of being due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter_ns

from bench.load.closed import Send
from bench.load.drain import drain
from bench.record import INTERRUPTED, RequestRecord
from bench.sample import Sample
from bench.stages import Open
from bench.workload import Prompt


async def open_loop(send: Send, prompts: Sequence[Prompt], stage: Open, sample: Sample) -> None:
    """Send the n-th prompt `sample.arrivals[n]` seconds after the start."""
    gate = asyncio.Semaphore(stage.max_in_flight)

    async def one(prompt: Prompt, record: RequestRecord) -> None:
        try:
            async with gate:
                await send(prompt, record)
        except asyncio.CancelledError:
            record.err = INTERRUPTED
            raise

    async with asyncio.TaskGroup() as group:
        tasks = []
        start = perf_counter_ns()
        for prompt, seconds in zip(prompts, sample.arrivals, strict=True):
            due = start + round(seconds * 1e9)
            await asyncio.sleep(max(0.0, (due - perf_counter_ns()) / 1e9))
            tasks.append(group.create_task(one(prompt, sample.new_record(due))))
        await drain(tasks, stage.drain, sample)
