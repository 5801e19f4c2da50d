"""What was played to a client and what it made of it; how far off that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import perf_counter_ns
from typing import Any

from bench.calibrate.calibration import METRICS, Calibration, ScriptCheck
from bench.calibrate.scripts import PROMPT_TOKENS, SCRIPTS, Script
from bench.record import RequestRecord
from bench.stats import percentile

SERVER = [sys.executable, "-m", "bench.calibrate.server"]
ROUNDS = 3
AT_ONCE = 8
"""Streams of the first script at the same time: one that is read while another's bytes arrive must not be late."""
GROUPS = [*([script] for _ in range(ROUNDS) for script in SCRIPTS), [SCRIPTS[0]] * AT_ONCE]
"""What every client is played, one group after the other; all of a group at once."""


@dataclass(frozen=True)
class Play:
    """One answer: what the server says of it, and what the client says."""

    script: Script
    record: RequestRecord
    truth: dict[str, list[float]]

    def errors(self, metric: str) -> list[float]:
        """Measured minus true, in milliseconds."""
        found: Sequence[float | None] = self.record.gaps_ms if metric == "gap_ms" else [getattr(self.record, metric)]
        pairs = zip(found, self.truth[metric], strict=False)
        return [measured - true for measured, true in pairs if measured is not None]

    @property
    def fault(self) -> str | None:
        outcome = "refused" if self.record.refused else "ok" if self.record.ok else "error"
        if outcome != self.script.outcome:
            return f"is {self.script.outcome}, was taken for {outcome} ({self.record.err})"
        if outcome != "ok":
            return None
        if len(self.record.gaps_ms) != len(self.truth["gap_ms"]):
            return f"{len(self.truth['gap_ms'])} gaps between texts, found {len(self.record.gaps_ms)}"
        if self.record.osl != self.script.num_tokens or self.record.isl not in (PROMPT_TOKENS, None):
            return f"{self.script.num_tokens} tokens, counted {self.record.osl}"
        return None


def new_record(script: Script) -> RequestRecord:
    """Of a request that is due now."""
    return RequestRecord(
        target="calibration",
        stage=script.name,
        round=0,
        index=0,
        isl_req=PROMPT_TOKENS,
        osl_req=script.num_tokens,
        t_sched=perf_counter_ns(),
    )


def plays(scripts: Sequence[Script], records: Sequence[RequestRecord], lines: Sequence[str]) -> list[Play]:
    """Of a group whose prompts were the numbers of its scripts; `lines` are what the server told, in any order."""
    by_prompt = {log["prompt"]: log for log in map(json.loads, lines)}
    return [
        Play(script, record, _truth(by_prompt[str(number)], script))
        for number, (script, record) in enumerate(zip(scripts, records, strict=True))
    ]


def _truth(log: dict[str, Any], script: Script) -> dict[str, list[float]]:
    """In milliseconds, from when the request was there."""
    texts, arrived, tokens = log["texts"], log["arrived"], script.num_tokens
    return {
        "ttft_ms": [(at - arrived) / 1e6 for at in texts[:1]],
        "itl_ms": [(texts[-1] - texts[0]) / 1e6 / (tokens - 1)] if tokens > 1 else [],
        "gap_ms": [(later - earlier) / 1e6 for earlier, later in pairwise(texts)],
        "e2e_ms": [(log["ended"] - arrived) / 1e6],
    }


def compare(plays: Sequence[Play]) -> Calibration:
    scripts = dict.fromkeys(play.script for play in plays)
    timed = {metric: [error for play in plays for error in play.errors(metric)] for metric in METRICS}
    error_ms = {metric: percentile([abs(error) for error in errors], 90) for metric, errors in timed.items() if errors}
    return Calibration(
        scripts=[_check(script, [play for play in plays if play.script is script]) for script in scripts],
        error_ms=error_ms,
    )


def _check(script: Script, plays: Sequence[Play]) -> ScriptCheck:
    timed = {metric: [error for play in plays for error in play.errors(metric)] for metric in METRICS}
    return ScriptCheck(
        script=script.name,
        n=len(plays),
        bias_ms={metric: median(errors) for metric, errors in timed.items() if errors},
        worst_ms={metric: max(map(abs, errors)) for metric, errors in timed.items() if errors},
        tokens=script.num_tokens,
        fault=next((play.fault for play in plays if play.fault), None),
    )
