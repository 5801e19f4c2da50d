"""The closed loop: a fixed number of clients, each of which sends its next request when its last one has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bench.record import RequestRecord
from bench.sample import Sample
from bench.workload import Prompt

Send = Callable[[Prompt, RequestRecord], Awaitable[None]]


async def closed_loop(send: Send, prompts: Sequence[Prompt], sample: Sample) -> None:
    """Send every prompt once, the stage's `concurrency` at a time. A request is due when a client is free for it."""
    pending = iter(prompts)

    async def client() -> None:
        for prompt in pending:
            await send(prompt, sample.new_record())

    async with asyncio.TaskGroup() as clients:
        for _ in range(sample.stage.concurrency):
            clients.create_task(client())
