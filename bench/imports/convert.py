"""What every format needs to become a result."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.environment import Environment
from bench.errors import BenchError
from bench.files import read_text
from bench.record import RequestRecord
from bench.result import Clock, Flag, Rates, Result, RoundResult, StageResult, Sums
from bench.stats import TAILS, Distribution, describe, median_or_none, required_samples
from bench.summary import METRICS

T = TypeVar("T", bound=BaseModel)
NO_RATES = Rates(out_tok_s=None, decode_tok_s=None, prefill_tok_s=None, ttft_p50_ms=None)


@dataclass
class Imported:
    """`notes` say what was converted or left out; `when` is ISO 8601, with the time zone if that is known."""

    tool: str
    when: str
    model: str | None
    stages: list[StageResult]
    notes: Sequence[str]
    cpu: str | None = None
    commit: str | None = None

    def result(self, source: Path) -> Result:
        """Its id is the file's hash: the same file is the same result."""
        return Result(
            id=hashlib.sha256(source.read_bytes()).hexdigest()[:32],
            command=self.tool,
            name=source.stem,
            model_name=self.model,
            created=Clock(wall=self.when, perf_ns=None),
            complete=True,
            environment=_environment(self.cpu, self.commit),
            host_load=None,
            model=None,
            server_config=None,
            stages=self.stages,
            validity=[Flag(code="imported", severity="suspect", text=note) for note in self.notes],
        )


def _environment(cpu: str | None, commit: str | None) -> Environment:
    unknown: dict[str, Any] = dict.fromkeys(Environment.model_fields)
    empty: dict[str, Any] = {"libs": {}, "llama_cpp_features": {}, "openmp": {}}
    return Environment(**unknown | empty | {"cpu_model": cpu, "service_git": commit})


def documents(path: Path) -> list[Any]:
    """Of a JSON file, or of one with a JSON value in each line; at least one. A list at the top is taken apart."""
    found = _parsed(read_text(path), path)
    if not found:
        raise BenchError(f"{path}: holds no result")
    return found


def _parsed(text: str, path: Path) -> list[Any]:
    try:
        whole = json.loads(text)
    except ValueError:
        return [_line(line, f"{path}, line {i}") for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _line(line: str, place: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise BenchError(f"{place}: not JSON: {error}") from error


def validated(kind: type[T], document: Any, path: Path, tool: str) -> T:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise BenchError("\n".join(f"{path}: not a result of {tool}: {fault}" for fault in faults)) from error


def stage(name: str, target: str, **known: Any) -> StageResult:
    """What is not `known` is null."""
    unknown: dict[str, Any] = dict.fromkeys(("load", "n_sent", "n_ok", "n_err", "n_censored"))
    sums = Sums(prompt=None, cached=None, completion=None)
    empty: dict[str, Any] = {"sum": sums, "rates": NO_RATES, "metrics": {}, "rounds": [], "validity": []}
    return StageResult(stage=name, target=target, **unknown | empty | known)


def distribution(
    n: int,
    mean: float | None,
    p50: float | None,
    tails: Mapping[int, float | None],
    low: float | None = None,
    high: float | None = None,
) -> Distribution | None:
    """From a summary, without the tails that `n` samples do not support. None without the two numbers in the middle."""
    if mean is None or p50 is None:
        return None
    kept = {p: tails.get(p) if n >= required_samples(p) else None for p in TAILS}
    supported = max((p for p in TAILS if kept[p] is not None), default=50)
    return Distribution(n, mean, None, low, p50, kept[90], kept[95], kept[99], high, supported)


def stage_of_records(name: str, target: str, records: Sequence[RequestRecord], **known: Any) -> StageResult:
    """By our own definitions, from single requests."""
    ended_well = [record for record in records if record.ok]
    values = {metric: [v for r in ended_well if (v := getattr(r, metric)) is not None] for metric in METRICS}
    values["gap_ms"] = [gap for record in ended_well for gap in record.gaps_ms]
    ends = [record.t_end for record in ended_well if record.t_end is not None]
    wall_s = (max(ends) - min(record.t_sched for record in ended_well)) / 1e9 if ends else None
    counted = bool(ended_well) and all(record.osl is not None for record in ended_well)
    rates = Rates(
        out_tok_s=sum(record.osl or 0 for record in ended_well) / wall_s if counted and wall_s else None,
        decode_tok_s=median_or_none(values["decode_tok_s"]),
        prefill_tok_s=None,
        ttft_p50_ms=median_or_none(values["ttft_ms"]),
    )
    metrics = {metric: describe(found) for metric, found in values.items()}
    round_ = RoundResult(round=0, wall_s=wall_s, host=None, **rates.model_dump())
    return stage(name, target, rates=rates, metrics=metrics, rounds=[round_], **known)


def new_record(due: float, isl: int | None, osl: int | None) -> RequestRecord:
    """To compute with, by our definitions. What lengths were asked for is not told; no metric is about them."""
    record = RequestRecord("", "", 0, 0, isl_req=isl or 0, osl_req=osl or 0, t_sched=nanoseconds(due))
    record.isl, record.osl = isl, osl
    return record


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
