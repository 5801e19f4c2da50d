"""How close each stage came to what this host can do at all."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Definitions, Notes, Section, Table, Term
from bench.result import Result
from bench.roofline.result import StageUse

HEADERS = ("stage, target", "batch", "mean depth", "MBU", "MFU")
TERMS = (
    Term(
        "MBU",
        "decode tok/s of one sequence x (weights read + batch x depth x KV bytes of a token) / measured bandwidth.",
    ),
    Term(
        "MFU",
        "prefill tok/s x operations of a prompt token / measured sgemm, for single clients. Integer matrix units can"
        " carry it above 100 %.",
    ),
)


def sections(result: Result) -> Iterator[Section]:
    found = result.roofline
    if found is None or not found.stages:
        return
    peaks = found.peaks
    host = Notes(
        (
            f"This host, measured before the run with {peaks.threads} threads: {peaks.read_bytes_s / 1e9:.1f} GB/s"
            f" read, {peaks.flops_s / 1e9:.0f} GFLOP/s in float32 (sgemm).",
        )
    )
    yield Section("Roofline", (Table(HEADERS, tuple(map(_row, found.stages))), host, Definitions(TERMS)))


def _row(use: StageUse) -> tuple[str, ...]:
    return f"{use.stage}, {use.target}", str(use.batch), f"{use.depth:.0f}", _share(use.mbu), _share(use.mfu)


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.0f} %"
