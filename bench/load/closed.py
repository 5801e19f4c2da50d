"""The closed loop: a fixed number of clients, each of which sends its next request when its last one has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter_ns
from typing import TypeAlias

from bench.load.drain import drain
from bench.record import RequestRecord
from bench.sample import Sample
from bench.stages import Closed

Send: TypeAlias = Callable[[str, RequestRecord], Awaitable[None]]


async def closed_loop(send: Send, prompts: Sequence[str], stage: Closed, sample: Sample) -> None:
    """Send every prompt once, `concurrency` at a time, until the stage's `duration` is over. A request is due when a
    client is free for it."""
    pending = iter(prompts)
    closes = None if stage.duration is None else perf_counter_ns() + stage.duration * 1e9
    all_sent = asyncio.Event()

    async def client() -> None:
        for prompt in pending:
            if closes is not None and perf_counter_ns() >= closes:
                break
            await send(prompt, sample.new_record())
        all_sent.set()

    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(client()) for _ in range(stage.concurrency)]
        await all_sent.wait()
        await drain(clients, stage.drain, sample)
