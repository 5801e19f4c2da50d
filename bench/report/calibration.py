"""What the client was found to be good for, just before it measured."""

from __future__ import annotations

from collections.abc import Iterator

from bench.calibrate.calibration import METRICS, Calibration, ScriptCheck
from bench.report.blocks import Notes, Section, Table, number
from bench.result import Result

HEADERS = (
    "answer of known timing", "TTFT ms", "ITL ms", "gap ms", "e2e ms", "worst ms", "tokens", "taken rightly",
)  # fmt: skip


def sections(result: Result) -> Iterator[Section]:
    if found := result.calibration:
        doubted = frozenset(i for i, check in enumerate(found.scripts) if check.fault)
        table = Table(HEADERS, tuple(_row(check) for check in found.scripts), doubted)
        yield Section("The client's own error", (table, Notes(tuple(_notes(found)))))


def _row(check: ScriptCheck) -> tuple[str, ...]:
    biases = (number(check.bias_ms.get(metric), 2) for metric in METRICS)
    worst = number(max(check.worst_ms.values(), default=None), 2)
    return (check.script, *biases, worst, str(check.tokens), check.fault or "yes")


def _notes(found: Calibration) -> Iterator[str]:
    yield (
        "Measured minus true: the median over the plays, and the largest of any metric. True times are the server's own"
        " stamps, from the request's last byte read to the reply's write."
    )
    errors = ", ".join(f"{metric.removesuffix('_ms')} {error:.2f} ms" for metric, error in found.error_ms.items())
    yield f"90 % of all errors are below: {errors}. A stage whose median is below that is invalid."
