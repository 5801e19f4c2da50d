"""The closed loop: a fixed number of clients, each of which sends its next request when its last one has ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from bench.load.drain import drain
from bench.record import RequestRecord
from bench.sample import Sample
from bench.stages import Closed
from bench.workload import Prompt

Send: TypeAlias = Callable[[Prompt, RequestRecord], Awaitable[None]]


async def closed_loop(send: Send, prompts: Sequence[Prompt], stage: Closed, sample: Sample) -> None:
    """Send every prompt once, `concurrency` at a time, until the stage's `duration` is over. A request is due when a
    client is free for it."""
    if not prompts:
        return
    pending = deque(prompts)
    all_sent = asyncio.Event()

    async def client() -> None:
        while pending:
            prompt = pending.popleft()
            if not pending:
                all_sent.set()
            await send(prompt, sample.new_record())

    async with asyncio.TaskGroup() as group:
        clients = [group.create_task(client()) for _ in range(stage.concurrency)]
        with suppress(TimeoutError):
            async with asyncio.timeout(stage.duration):
                await all_sent.wait()
        pending.clear()
        await drain(clients, stage.drain, sample)
