"""`vllm bench serve --save-result`, with `--append-result` several runs; with `--save-detailed` every request.

Its TPOT is (latency - TTFT) / (tokens - 1) for each request: our itl_ms, and its inverse our decode_tok_s. Its ITL are
the gaps between chunks, pooled: our gap_ms, but only `--save-detailed` says how many. Its E2EL ends with the last text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.imports.convert import (
    Imported,
    distribution,
    documents,
    nanoseconds,
    new_record,
    stage,
    stage_of_records,
    validated,
)
from bench.record import RequestRecord
from bench.result import Rates, StageResult, Sums
from bench.stats import Distribution

TOOL = "vllm"
NOTES = (
    "vLLM takes the first chunk for the first token, even if it is empty, as a chat's is: TTFT may be too early",
    "vLLM counts from sending, not from when a request was due",
)
METRICS = {"ttft_ms": "ttft", "itl_ms": "tpot", "e2e_ms": "e2el"}
"""Ours -> theirs."""
LEFT_OUT = "vLLM's pooled ITL come without their number, so gap_ms is left out: --save-detailed keeps them"


class Run(BaseModel):
    model_config = ConfigDict(protected_namespaces=(), extra="allow")

    date: str
    model_id: str
    request_rate: float | Literal["inf"]
    max_concurrency: int | None = None
    completed: int
    failed: int | None = None
    total_input_tokens: int
    total_output_tokens: int
    output_throughput: float

    ttfts: list[float] | None = None
    itls: list[list[float]] | None = None
    input_lens: list[int] | None = None
    output_lens: list[int] | None = None
    start_times: list[float] | None = None
    errors: list[str] | None = None

    @property
    def name(self) -> str:
        rate = "as fast as possible" if self.request_rate == "inf" else f"{self.request_rate:g} requests/s"
        return rate + (f", at most {self.max_concurrency} at once" if self.max_concurrency else "")

    @property
    def is_detailed(self) -> bool:
        columns = (self.start_times, self.ttfts, self.itls, self.input_lens, self.output_lens, self.errors)
        return all(column is not None for column in columns)

    def number(self, key: str) -> float | None:
        value = (self.model_extra or {}).get(key)
        return value if isinstance(value, int | float) else None


def read(path: Path, target: str = TOOL) -> Imported:
    runs = [validated(Run, document, path, TOOL) for document in documents(path)]
    detailed = all(run.is_detailed for run in runs)
    return Imported(
        tool=TOOL,
        when=datetime.strptime(runs[0].date, "%Y%m%d-%H%M%S").isoformat(),
        model=runs[0].model_id,
        stages=[_stage(run, target) for run in runs],
        notes=NOTES if detailed else (*NOTES, LEFT_OUT),
    )


def _stage(run: Run, target: str) -> StageResult:
    counts = {
        "n_sent": None if run.failed is None else run.completed + run.failed,
        "n_ok": run.completed,
        "n_err": run.failed,
        "sum": Sums(prompt=run.total_input_tokens, cached=None, completion=run.total_output_tokens),
    }
    if run.is_detailed:
        found = stage_of_records(run.name, target, list(_records(run)), **counts)
        return found.model_copy(update={"rates": found.rates.model_copy(update={"out_tok_s": run.output_throughput})})
    gap = run.number("median_tpot_ms")
    rates = Rates(
        out_tok_s=run.output_throughput,
        decode_tok_s=1e3 / gap if gap else None,
        prefill_tok_s=None,
        ttft_p50_ms=run.number("median_ttft_ms"),
    )
    metrics = {ours: _metric(run, theirs) for ours, theirs in METRICS.items()}
    return stage(run.name, target, rates=rates, metrics=metrics, **counts)


def _metric(run: Run, name: str) -> Distribution | None:
    tails = {p: run.number(f"p{p}_{name}_ms") for p in (90, 95, 99)}
    return distribution(run.completed, run.number(f"mean_{name}_ms"), run.number(f"median_{name}_ms"), tails)


def _records(run: Run) -> Iterator[RequestRecord]:
    """Of the requests that succeeded: the others have a TTFT of zero, which is not one."""
    columns = (run.start_times, run.ttfts, run.itls, run.input_lens, run.output_lens, run.errors)
    for start, ttft, gaps, isl, osl, err in zip(*(column or [] for column in columns), strict=True):
        if not err:
            record = new_record(start, isl, osl)
            times = [nanoseconds(ttft + waited) for waited in accumulate(gaps, initial=0.0)]
            record.t_send = record.t_sched
            record.t_first_tok = record.t_sched + times[0]
            record.t_last_tok = record.t_end = record.t_sched + times[-1]
            record.chunks = [(at, None) for at in times]
            yield record
