"""The bare decode loop as a target: a stage's clients become sequences in lockstep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.deployment import Deployment
from bench.sample import Sample
from bench.target_spec import TargetSpec
from bench.targets.asked_child import AskedChild
from bench.targets.ceiling import LockstepRun
from bench.workload import Prompt


class BareTarget(AskedChild):
    def __init__(self, spec: TargetSpec, *, deployment: Deployment, log: Path) -> None:
        super().__init__(spec, "bench.targets.ceiling", [deployment.to_json()], log)
        self._slots = deployment.slots

    async def measure(self, prompts: Sequence[Prompt], sample: Sample) -> None:
        concurrency = min(sample.stage.num_clients, self._slots)
        job = {"prompts": list(prompts), "concurrency": concurrency, "num_tokens": sample.stage.prompts.osl}
        for run in await self.ask(job):
            add_records(LockstepRun(**run), sample)

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        (run,) = await self.ask({"prompts": [prompt], "concurrency": 1, "num_tokens": 1})
        return int(run["prompt_lengths"][0])


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
