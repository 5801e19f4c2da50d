"""What can be compared of requests: `ttft_ms.p95` is a percentile over all of them, of a stage on a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bench.errors import BenchError

Better: TypeAlias = Literal["higher", "lower"]

DIRECTIONS: dict[str, Better] = {
    "out_tok_s": "higher",
    "decode_tok_s": "higher",
    "prefill_tok_s": "higher",
    "ttft_ms": "lower",
    "ttfb_ms": "lower",
    "itl_ms": "lower",
    "gap_ms": "lower",
    "e2e_ms": "lower",
}
OF_ROUNDS = ("out_tok_s",)
"""These have one value in each round, the others one or more in each request."""
PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Metric:
    name: str
    percentile: int = 50

    @property
    def better(self) -> Better:
        return DIRECTIONS[self.name]

    @property
    def is_of_rounds(self) -> bool:
        return self.name in OF_ROUNDS

    def __str__(self) -> str:
        return f"{self.name}.p{self.percentile}"


def read_metric(text: str) -> Metric:
    """`decode_tok_s` alone is its median; the name is one of DIRECTIONS. Raises BenchError for another percentile."""
    name, _, percentile = text.partition(".")
    if not re.fullmatch(rf"(p({'|'.join(map(str, PERCENTILES))}))?", percentile):
        raise BenchError(f"{text}: write {name} or {name}.pN, N one of {', '.join(map(str, PERCENTILES))}")
    metric = Metric(name, int(percentile[1:] or 50))
    if metric.is_of_rounds and metric.percentile != 50:
        raise BenchError(f"{text}: {name} has one value in a round, so only a median")
    return metric


DEFAULT = tuple(map(read_metric, ("out_tok_s", "decode_tok_s", "ttft_ms", "ttft_ms.p95", "e2e_ms")))
