"""Anything that a client can ask, as a target; the door says how it is started and reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.client import Client
from bench.load.drive import drive
from bench.sample import Sample
from bench.scenario import Workload
from bench.target_spec import TargetSpec
from bench.targets.doors import Door
from bench.workload import Prompt


class ServedTarget:
    """`extra` are fields of a request that this kind of server knows."""

    def __init__(
        self, spec: TargetSpec, door: Door, *, model: str, workload: Workload, extra: Mapping[str, Any]
    ) -> None:
        self.spec = spec
        self._door = door
        self._model = spec.model or model
        self._workload = workload
        self._extra = extra
        self._client: Client | None = None

    async def start(self) -> None:
        transport = await self._door.open()
        self._client = Client(transport, model=self._model, workload=self._workload, extra=self._extra)

    async def measure(self, prompts: Sequence[Prompt], sample: Sample) -> None:
        assert self._client is not None, "start it first"
        await drive(self._client.send, prompts, sample)
        if self._door.process:
            self._door.process.check_alive()

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        assert self._client is not None, "start it first"
        return await self._client.prompt_tokens(prompt)

    def cpu_seconds(self) -> float | None:
        return self._door.cpu_seconds()

    async def stop(self) -> None:
        if self._client:
            await self._client.close()
        if self._door.process:
            await self._door.process.stop()
