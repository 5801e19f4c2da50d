"""What pytest-benchmark measured, as a part of our own result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bench.errors import BenchError
from bench.files import read_bytes


class Timing(BaseModel, frozen=True):
    """One benchmark over its rounds. `tok_s` and `mbu` are medians over the rounds, where tokens are what it is about;
    `params` are what it was measured at."""

    group: str
    name: str
    params: dict[str, int | bool | str]
    rounds: int
    median_s: float
    min_s: float
    iqr_s: float
    tok_s: float | None
    mbu: float | None


class Micro(BaseModel, frozen=True):
    timings: list[Timing]


def read_micro(path: Path) -> Micro:
    """Of the file that `--benchmark-json` writes. Raises BenchError where it is none."""
    try:
        found = json.loads(read_bytes(path))["benchmarks"]
        return Micro(timings=[_timing(one) for one in found])
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: not written by pytest-benchmark: {error!r}") from error


def _timing(found: dict[str, Any]) -> Timing:
    stats, extra = found["stats"], found["extra_info"]
    return Timing(
        group=found["group"],
        name=found["name"],
        params=found["params"] or {},
        rounds=stats["rounds"],
        median_s=stats["median"],
        min_s=stats["min"],
        iqr_s=stats["iqr"],
        tok_s=extra.get("tok_s"),
        mbu=extra.get("mbu"),
    )
