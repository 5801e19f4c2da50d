"""`--slo ttft=2s,itl=100ms`: what users are promised."""

from __future__ import annotations

import re

from bench.context.parts import Slo
from bench.errors import BenchError

DEFAULT_SLO = Slo(ttft_ms=2000, itl_ms=100)
"""MLPerf Inference's for an 8B model in conversation (2 s to the first token, 100 ms between tokens)."""
_UNITS = {"ms": 1.0, "s": 1e3, "min": 6e4}


def parse_slo(text: str) -> Slo:
    """What is not named keeps its default. Raises BenchError."""
    found = DEFAULT_SLO.model_dump()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(ttft|itl)=(\d+(?:\.\d+)?)(ms|s|min)\s*", part)
        if not match:
            raise BenchError(f"--slo {text}: {part!r} cannot be read: write ttft=2s or itl=100ms, with a comma between")
        found[f"{match[1]}_ms"] = float(match[2]) * _UNITS[match[3]]
    return Slo(**found)


def slo_words(slo: Slo) -> str:
    """As `parse_slo` reads them."""
    return f"ttft={slo.ttft_ms:g}ms,itl={slo.itl_ms:g}ms"
