"""aiperf's `profile_export_aiperf.json`: its summary of one run.

Its inter-token latency is (latency - TTFT) / (tokens - 1) for each request: our itl_ms; its inverse, the throughput for
each user, our decode_tok_s; inter-chunk latencies are pooled gaps, whose number it does not tell. Its TTFT is the first
response with content; all count from sending.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench.errors import BenchError
from bench.imports.convert import Imported, distribution, documents, now, stage, validated
from bench.result import Rates, StageResult, Sums
from bench.stats import Distribution

TOOL = "aiperf"
NOTES = (
    "aiperf counts from sending, not from when a request was due",
    "aiperf's inter-chunk latencies come without their number, so gap_ms is left out",
)
NO_TIME = "the file does not say when it was measured: the time is the import's"
MILLISECONDS = {"ttft_ms": "time_to_first_token", "itl_ms": "inter_token_latency", "e2e_ms": "request_latency"}
"""Ours -> theirs."""


class Metric(BaseModel):
    unit: str
    avg: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


class Summary(BaseModel):
    model_config = ConfigDict(extra="ignore")

    request_count: Metric
    error_request_count: Metric | None = None
    request_latency: Metric
    time_to_first_token: Metric | None = None
    inter_token_latency: Metric | None = None
    output_token_throughput: Metric | None = None
    output_token_throughput_per_user: Metric | None = None
    total_isl: Metric | None = None
    total_osl: Metric | None = None
    start_time: str | None = None
    input_config: dict[str, Any] | None = None

    def told(self, *keys: str) -> Any:
        """A setting of the run, if the file has it."""
        found: Any = self.input_config
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found


def read(path: Path, target: str = TOOL) -> Imported:
    runs = [validated(Summary, document, path, TOOL) for document in documents(path)]
    if len(runs) != 1:
        raise BenchError(f"{path}: holds {len(runs)} values, profile_export_aiperf.json has one")
    (run,) = runs
    models = run.told("endpoint", "model_names")
    return Imported(
        tool=TOOL,
        when=run.start_time or now(),
        model=models[0] if models else None,
        stages=[_stage(run, target, path)],
        notes=NOTES if run.start_time else (*NOTES, NO_TIME),
    )


def _stage(run: Summary, target: str, path: Path) -> StageResult:
    n, errors = _count(run.request_count), _count(run.error_request_count)
    metrics = {ours: _milliseconds(getattr(run, theirs), theirs, n or 0, path) for ours, theirs in MILLISECONDS.items()}
    per_user = run.output_token_throughput_per_user
    metrics["decode_tok_s"] = _distribution(per_user, n or 0)
    ttft, total = run.time_to_first_token, run.output_token_throughput
    return stage(
        _name(run),
        target,
        n_sent=None if n is None or errors is None else n + errors,
        n_ok=n,
        n_err=errors,
        sum=Sums(prompt=_count(run.total_isl), cached=None, completion=_count(run.total_osl)),
        rates=Rates(
            out_tok_s=total.avg if total else None,
            decode_tok_s=per_user.p50 if per_user else None,
            prefill_tok_s=None,
            ttft_p50_ms=ttft.p50 if ttft else None,
        ),
        metrics=metrics,
    )


def _name(run: Summary) -> str:
    loads = (("at most {} at once", "concurrency"), ("{} requests/s", "request_rate"))
    parts = [words.format(value) for words, key in loads if (value := run.told("loadgen", key))]
    return ", ".join(parts) or "aiperf"


def _count(metric: Metric | None) -> int | None:
    return None if metric is None or metric.avg is None else round(metric.avg)


def _milliseconds(metric: Metric | None, name: str, n: int, path: Path) -> Distribution | None:
    if metric is not None and metric.unit != "ms":
        raise BenchError(f"{path}: {name} is in {metric.unit!r}, not in ms")
    return _distribution(metric, n)


def _distribution(metric: Metric | None, n: int) -> Distribution | None:
    if metric is None:
        return None
    tails = {90: metric.p90, 95: metric.p95, 99: metric.p99}
    return distribution(n, metric.avg, metric.p50, tails, metric.min, metric.max)
