"""The bare loop on one file, as a child of `bench.child`: a `Job` in, a `Measured` out."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.child import ask_child, peak_bytes


@dataclass(frozen=True)
class Job:
    """Read `prompt` tokens, generate `output` more, in one sequence."""

    path: str
    prompt: int
    output: int
    threads: int


@dataclass(frozen=True)
class Measured:
    """`prefill_s` for the whole prompt, `decode_s` for a step after it (the median), `peak_bytes` the most memory that
    the process had in use."""

    prefill_s: float
    decode_s: float
    peak_bytes: int


def measure(job: Job) -> Measured:
    """Raises BenchError with the child's last words."""
    return Measured(**ask_child("bench.plan.probe", dataclasses.asdict(job), Path(job.path).name))


def _run(job: Job) -> Measured:
    from itertools import pairwise
    from statistics import median

    from core.llama.attention import flash_attention
    from core.llama.bare import BareLoop
    from core.llama.context import ContextSettings
    from core.llama.model import LlamaModel
    from core.runners.gpu import batch_rows
    from core.runners.planning import rows_of_pass

    model = LlamaModel(Path(job.path))
    context_size = job.prompt + job.output
    attention = flash_attention(None)
    settings = ContextSettings(
        num_cells=context_size,
        num_seqs=1,
        unified=False,
        max_batch=batch_rows(None, on_gpu=False),
        micro_batch=rows_of_pass(attention, model.num_heads, context_size),
        threads=job.threads,
        threads_batch=job.threads,
        flash_attention=attention,
    )
    loop = BareLoop(model, settings)
    loop.run([[3] * 8], 2)  # pages the weights in
    prompt = [3 + place % (model.num_vocab - 3) for place in range(job.prompt)]
    started, first, *later = loop.run([prompt], job.output)
    steps = [(after - before) / 1e9 for before, after in pairwise([first, *later])]
    loop.close()
    model.close()
    return Measured((first - started) / 1e9, median(steps), peak_bytes())


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_run(Job(**json.loads(sys.argv[1]))))))
