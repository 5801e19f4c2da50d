"""The embedding library itself as a target: no server, no requests, all texts of a stage at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.sample import Sample
from bench.target_spec import TargetSpec
from bench.targets.asked_child import AskedChild
from bench.targets.library import Encoded
from bench.workload import Prompt


class LibraryTarget(AskedChild):
    """One call with all the texts, as a batch job would make it; for a lone client a call for each request."""

    def __init__(self, spec: TargetSpec, *, models: Path, name: str, log: Path) -> None:
        super().__init__(spec, "bench.targets.library", [str(models), name], log)

    async def measure(self, prompts: Sequence[Prompt], sample: Sample) -> None:
        size = 1 if sample.stage.num_clients == 1 else len(prompts)
        for start in range(0, len(prompts), size):
            group = prompts[start : start + size]
            encoded = Encoded(**await self.ask([text for prompt in group for text in prompt]))
            _add_records(encoded, [len(prompt) for prompt in group], sample)

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        encoded = Encoded(**await self.ask([prompt]))
        return encoded.lengths[0]


def _add_records(encoded: Encoded, num_texts: Sequence[int], sample: Sample) -> None:
    """A record for each request whose texts the call held; all of them have the call's times.

    The child's clock is ours: perf_counter_ns counts from the same moment in every process of a Linux host.
    """
    lengths = iter(encoded.lengths)
    for count in num_texts:
        record = sample.new_record(encoded.started)
        record.t_send = encoded.started
        record.t_first_byte = record.t_end = encoded.ended
        record.isl, record.token_source = sum(next(lengths) for _ in range(count)), "exact"
        record.texts = count
