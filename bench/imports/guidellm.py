"""guidellm's `benchmarks.json`: from its single requests, by our own definitions.

Its summaries are not used: they weight ITL by tokens, and its TPOT includes the TTFT. The requests tell when they were
due, sent, answered first and last, and ended, so nothing is lost. Times between tokens are not among what they tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench.errors import BenchError
from bench.imports.convert import Imported, documents, nanoseconds, new_record, stage_of_records, validated
from bench.record import RequestRecord
from bench.result import Flag, StageResult, Sums

TOOL = "guidellm"
NOTES = ("guidellm takes its times from the wall clock, which may have been set while it measured",)


class Timings(BaseModel):
    """Seconds since the epoch."""

    targeted_start: float | None = None
    request_start: float | None = None
    first_token_iteration: float | None = None
    last_token_iteration: float | None = None
    request_end: float | None = None


class Info(BaseModel):
    timings: Timings


class Request(BaseModel):
    info: Info
    prompt_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None = None


class Requests(BaseModel):
    successful: list[Request]


class Totals(BaseModel):
    successful: int
    incomplete: int
    errored: int
    total: int


class Metrics(BaseModel):
    request_totals: Totals


class Config(BaseModel):
    strategy: dict[str, Any]
    backend: dict[str, Any] = {}


class Benchmark(BaseModel):
    config: Config
    metrics: Metrics
    requests: Requests
    start_time: float

    @property
    def name(self) -> str:
        """`concurrent, streams 8`, `poisson, rate 2`."""
        told = self.config.strategy
        parts = [f"{key} {told[key]:g}" for key in ("streams", "rate", "max_concurrency") if told.get(key) is not None]
        return ", ".join([str(told.get("type_", "unknown strategy")), *parts])


class File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    benchmarks: list[Benchmark]


def read(path: Path, target: str = TOOL) -> Imported:
    files = [validated(File, document, path, TOOL) for document in documents(path)]
    benchmarks = [done for file in files for done in file.benchmarks]
    if not benchmarks:
        raise BenchError(f"{path}: holds no benchmark")
    models = [model for done in benchmarks if (model := done.config.backend.get("model"))]
    return Imported(
        tool=TOOL,
        when=datetime.fromtimestamp(benchmarks[0].start_time, UTC).isoformat(),
        model=models[0] if models else None,
        stages=[_stage(done, target) for done in benchmarks],
        notes=NOTES,
    )


def _stage(done: Benchmark, target: str) -> StageResult:
    totals, records = done.metrics.request_totals, list(_records(done))
    validity = []
    if len(records) != totals.successful:
        text = f"{len(records)} requests are in the file, {totals.successful} are counted"
        validity = [Flag(code="sampled", severity="suspect", text=text)]
    return stage_of_records(
        done.name,
        target,
        records,
        n_sent=totals.total,
        n_ok=totals.successful,
        n_err=totals.errored,
        n_censored=totals.incomplete,
        sum=Sums(prompt=_total(records, "isl"), cached=_total(records, "cached"), completion=_total(records, "osl")),
        validity=validity,
    )


def _total(records: list[RequestRecord], name: str) -> int | None:
    counts = [getattr(record, name) for record in records]
    return None if not counts or None in counts else sum(counts)


def _records(done: Benchmark) -> Iterator[RequestRecord]:
    """Of those that tell when they were sent and when they ended."""
    for request in done.requests.successful:
        times = request.info.timings
        if times.request_start is None or times.request_end is None:
            continue
        due = times.request_start if times.targeted_start is None else min(times.targeted_start, times.request_start)
        record = new_record(due, request.prompt_tokens, request.output_tokens)
        record.t_send, record.t_end = nanoseconds(times.request_start), nanoseconds(times.request_end)
        record.t_first_tok, record.t_last_tok = map(_moment, (times.first_token_iteration, times.last_token_iteration))
        record.cached = request.cached_tokens
        yield record


def _moment(seconds: float | None) -> int | None:
    return None if seconds is None else nanoseconds(seconds)
