"""The bare decode loop as a target: a stage's clients become sequences in lockstep."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.deployment import Deployment
from bench.sample import Sample
from bench.target_spec import TargetSpec
from bench.targets.ceiling import LockstepRun
from bench.targets.process import ChildProcess
from bench.workload import Prompt


class BareTarget:
    def __init__(self, spec: TargetSpec, *, deployment: Deployment, log: Path) -> None:
        self.spec = spec
        self._deployment = deployment
        self._log = log
        self._process: ChildProcess | None = None

    async def start(self) -> None:
        command = [sys.executable, "-m", "bench.targets.ceiling", self._deployment.to_json()]
        self._process = await ChildProcess.start(self.spec.name, command, self._log, answers=True)
        await self._process.ask("")

    async def measure(self, prompts: Sequence[Prompt], sample: Sample) -> None:
        assert self._process is not None, "start it first"
        concurrency = min(sample.stage.num_clients, self._deployment.slots)
        job = {"prompts": list(prompts), "concurrency": concurrency, "num_tokens": sample.stage.prompts.osl}
        for run in json.loads(await self._process.ask(json.dumps(job))):
            add_records(LockstepRun(**run), sample)

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        assert self._process is not None, "start it first"
        job = {"prompts": [prompt], "concurrency": 1, "num_tokens": 1}
        (run,) = json.loads(await self._process.ask(json.dumps(job)))
        return int(run["prompt_lengths"][0])

    def cpu_seconds(self) -> float | None:
        return self._process.cpu_seconds() if self._process else None

    async def stop(self) -> None:
        if self._process:
            await self._process.stop()


def add_records(run: LockstepRun, sample: Sample) -> None:
    """A record for each sequence of the run, with the phases that they share as its server timings.

    The child's clock is ours: perf_counter_ns counts from the same moment in every process of a Linux host.
    """
    started, first, last = run.times[0], run.times[1], run.times[-1]
    num_tokens = len(run.times) - 1
    timings = {
        "prompt_n": sum(run.prompt_lengths),
        "prompt_ms": (first - started) / 1e6,
        "predicted_n": (num_tokens - 1) * len(run.prompt_lengths),
        "predicted_ms": (last - first) / 1e6,
    }
    for length in run.prompt_lengths:
        record = sample.new_record()
        record.t_sched = record.t_send = started
        record.t_first_byte = record.t_first_tok = first
        record.t_last_tok = record.t_end = last
        record.chunks = [(time - started, 1) for time in run.times[1:]]
        record.isl, record.osl, record.cached, record.token_source = length, num_tokens, 0, "exact"
        record.finish, record.server_timings = "length", timings
