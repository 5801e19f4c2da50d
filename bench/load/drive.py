"""Work through a stage, whichever kind of load it is."""

from __future__ import annotations

from collections.abc import Sequence

from bench.load.closed import Send, closed_loop
from bench.load.open import open_loop
from bench.sample import Sample
from bench.stages import Closed
from bench.workload import Prompt


async def drive(send: Send, prompts: Sequence[Prompt], sample: Sample) -> None:
    """Every request that was due leaves its record in the sample, also when cancelled in between."""
    match sample.stage:
        case Closed() as stage:
            await closed_loop(send, prompts, stage, sample)
        case stage:
            await open_loop(send, prompts, stage, sample)
