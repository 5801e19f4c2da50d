"""Reasons to doubt what was timed of a context."""

from __future__ import annotations

from collections.abc import Iterator

from bench.calibrate.calibration import Calibration
from bench.context.parts import ContextPart
from bench.doubts.numbers import doubts_of_precision
from bench.result import Flag
from bench.stats import describe

ONE_LENGTH = 1.1
"""Texts of one planned length differ by less than this factor as the server counts them."""


def context_doubts(part: ContextPart, calibration: Calibration | None) -> Iterator[Flag]:
    """The fits lean on the shortest prompts as much as on the longest, and theirs are the least times."""
    timings = part.latency.timings if part.latency else []
    least = min((timing.tokens for timing in timings), default=0)
    shortest = [timing for timing in timings if timing.tokens < ONE_LENGTH * least]
    ttft = describe([timing.ttft_ms for timing in shortest])
    itl = describe([timing.itl_ms for timing in shortest if timing.itl_ms is not None])
    for flag in doubts_of_precision({"ttft_ms": ttft, "itl_ms": itl}, calibration):
        yield flag.model_copy(update={"text": f"prompts of about {least:,} tokens: {flag.text}"})
