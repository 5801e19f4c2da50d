"""One round on one file, as a child of `bench.child`: a `Job` in, a `Round` out."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.child import ask_child, peak_bytes
from core.llama.measures import Rates


@dataclass(frozen=True)
class Job:
    """`sequences` are generated at once, beside one alone."""

    path: str
    sequences: int


@dataclass(frozen=True)
class Round:
    """`peak_bytes` is the most memory that its process had resident."""

    rates: Rates
    peak_bytes: int


def measure_round(job: Job) -> Round:
    """Raises BenchError with the child's last words."""
    answer = ask_child("bench.quants.probe", dataclasses.asdict(job), Path(job.path).name)
    return Round(Rates(**answer["rates"]), answer["peak_bytes"])


def _run(job: Job) -> Round:
    from core.llama.rates import measure_rates

    return Round(measure_rates(Path(job.path), job.sequences), peak_bytes())


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_run(Job(**json.loads(sys.argv[1]))))))
