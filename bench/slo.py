"""Service level objectives: what a user must be given for a request to count as good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.record import INTERRUPTED, RequestRecord
from bench.strict import Strict

Preset = Literal[
    "mlperf-8b-conversational", "mlperf-8b-interactive", "mlperf-70b-conversational", "mlperf-70b-interactive"
]

PRESETS: dict[str, dict[str, float]] = {
    "mlperf-8b-conversational": {"ttft_ms": 2000, "itl_ms": 100},
    "mlperf-8b-interactive": {"ttft_ms": 500, "itl_ms": 30},
    "mlperf-70b-conversational": {"ttft_ms": 2000, "itl_ms": 200},
    "mlperf-70b-interactive": {"ttft_ms": 450, "itl_ms": 40},
}
"""MLPerf Inference's limits for Llama 3.1 8B and Llama 2 70B in its Server and Interactive scenarios (mlcommons
inference_rules.adoc, constraints for LLMs). MLPerf wants them met by 99 % of the requests (`attain: 0.99`)."""


class Slo(Strict):
    """Limits in milliseconds, measured from the moment a request is due. A limit written here goes before the preset's.
    `itl_ms` limits the request's mean gap between tokens, the first left out (MLPerf's TPOT)."""

    ttft_ms: float | None = Field(default=None, gt=0)
    itl_ms: float | None = Field(default=None, gt=0)
    e2e_ms: float | None = Field(default=None, gt=0)
    preset: Preset | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not self.limits:
            raise ValueError("set at least one of ttft_ms, itl_ms, e2e_ms, preset")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """By property of RequestRecord."""
        own = {"ttft_ms": self.ttft_ms, "itl_ms": self.itl_ms, "e2e_ms": self.e2e_ms}
        preset = PRESETS[self.preset] if self.preset else {}
        return preset | {name: limit for name, limit in own.items() if limit is not None}

    @property
    def words(self) -> str:
        names = {"ttft_ms": "TTFT", "itl_ms": "ITL", "e2e_ms": "e2e"}
        return ", ".join(f"{names[name]} <= {limit:g} ms" for name, limit in self.limits.items())

    def is_met_by(self, record: RequestRecord) -> bool:
        """A request that failed, was refused or was cut off meets nothing, and neither does one that gave too few
        tokens to measure what is limited."""
        values = {name: getattr(record, name) for name in self.limits}
        return record.ok and all(
            values[name] is not None and values[name] <= limit for name, limit in self.limits.items()
        )


def judged(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """All that were due, but for those that the end of the whole run cut off: they say nothing of the server."""
    return [record for record in records if record.err != INTERRUPTED]
