"""What the client's numbers are good for on this host: its error against answers of known timing."""

from __future__ import annotations

from pydantic import BaseModel

METRICS = ("ttft_ms", "itl_ms", "gap_ms", "e2e_ms")
"""`queue_ms`, `prefill_tok_s` and the like are the server's own words, and nothing of the client is in them."""


class ScriptCheck(BaseModel, frozen=True):
    """The client against one script, played `n` times. `bias_ms` is the median of (measured - true), `worst_ms` the
    largest |measured - true|; a metric that the script does not have is missing. `fault` says what was counted or
    judged wrongly."""

    script: str
    n: int
    bias_ms: dict[str, float]
    worst_ms: dict[str, float]
    tokens: int
    fault: str | None


class Calibration(BaseModel, frozen=True):
    """`error_ms` is the 90th percentile of |measured - true| over all scripts: below it a metric is the client's own
    noise. True times are the server's, from a request's last byte read to a reply's write, so that connecting, sending
    and reading are all in the error."""

    scripts: list[ScriptCheck]
    error_ms: dict[str, float]

    @property
    def faults(self) -> list[str]:
        return [f"{check.script}: {check.fault}" for check in self.scripts if check.fault]
