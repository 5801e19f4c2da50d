"""Service level objectives: what a user must be given for a request to count as good."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.errors import BenchError
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

LIMITS = {"ttft": "2s", "itl": "100ms", "e2e": "30s"}
"""What can be limited, with an example for each."""
TOKEN_LIMITS = ("ttft", "itl")
"""Those that say something whatever the length of an answer."""
IN_CONVERSATION = "mlperf-8b-conversational"
UNITS = {"": 1.0, "ms": 1.0, "s": 1e3, "min": 6e4}
RULE = "a number without a unit (ms, s, min) is in ms, what is not named is not limited"


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


def parse_slo(text: str, limits: Iterable[str] = LIMITS) -> Slo:
    """`ttft=2s,itl=100` by the rule of `RULE`, or a preset's name, or both. `limits` are those that may be named.
    Raises BenchError naming the part at fault."""
    found: dict[str, float | str] = {}
    for part in text.split(","):
        key, value = _read(part.strip(), limits)
        if value is None or key in found:
            fault = "is set twice" if value else "is not a limit"
            raise BenchError(f"--slo {text}: {part.strip()!r} {fault}: write {grammar(limits)}")
        found[key] = value
    return Slo.model_validate(found)


def grammar(limits: Iterable[str] = LIMITS) -> str:
    """How an SLO is written on a command line."""
    example = ",".join(f"{name}={LIMITS[name]}" for name in limits)
    return f"{example}, or one of {', '.join(PRESETS)}; {RULE}"


def _read(part: str, limits: Iterable[str]) -> tuple[str, float | str | None]:
    """A field of Slo and its value; None where the part cannot be read."""
    if part in PRESETS:
        return "preset", part
    match = re.fullmatch(rf"({'|'.join(limits)})=(\d+\.?\d*|\.\d+)({'|'.join(UNITS)})", part)
    return (f"{match[1]}_ms", float(match[2]) * UNITS[match[3]] or None) if match else ("", None)


def judged(records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """All that were due, but for those that the end of the whole run cut off: they say nothing of the server."""
    return [record for record in records if record.err != INTERRUPTED]
