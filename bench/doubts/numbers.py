"""Reasons to doubt a number that lie in its size: below the client's error, or lost in the noise of the rounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from bench.calibrate.calibration import Calibration
from bench.result import Flag
from bench.stats import Distribution

SUSPECT_SHARE = 0.1
"""Of a metric that the client's error may be."""
FROM_SEND = {"ttft_ms": "ttft_from_send_ms", "e2e_ms": "e2e_from_send_ms"}
"""What counts from when a request was due, and the same without the client's lateness."""
NOISE_LIMIT = 0.2


def doubts_of_client(calibration: Calibration | None) -> list[Flag]:
    """A client that takes answers for something else measures nothing."""
    faults = calibration.faults if calibration else []
    return [Flag(code="calibration", severity="invalid", text=f"the client failed: {fault}") for fault in faults]


def doubts_of_precision(metrics: Mapping[str, Distribution | None], calibration: Calibration | None) -> Iterator[Flag]:
    """A median below the client's own error says nothing of the target."""
    for metric, error in (calibration.error_ms if calibration else {}).items():
        found = metrics.get(metric)
        if found is None or error <= SUSPECT_SHARE * found.p50:
            continue
        severity, words = ("invalid", "below") if found.p50 <= error else ("suspect", "near")
        text = f"{metric} p50 {found.p50:.2f} is {words} the client's error of {error:.2f} ms"
        yield Flag.model_validate({"code": "precision", "severity": severity, "text": text})


def doubts_of_lag(metrics: Mapping[str, Distribution | None], calibration: Calibration | None) -> Iterator[Flag]:
    """Times count from when a request was due, so a client that sends late is in them: by as much as a percentile
    differs from the same one counted from the send. That is an error of the client like the calibrated one, and may be
    as large a part of the figure; below the calibrated one it is not seen."""
    for metric, from_send in FROM_SEND.items():
        error = calibration.error_ms.get(metric, 0.0) if calibration else 0.0
        for name in ("p50", "p95"):
            due, sent = (getattr(metrics.get(key), name, None) for key in (metric, from_send))
            if due is None or sent is None or due - sent <= max(error, SUSPECT_SHARE * due):
                continue
            text = f"{metric} {name} is {due:.1f} as the client was late; counted from the send it is {sent:.1f}"
            yield Flag(code="lag", severity="suspect", text=text)
            return


def spread(rounds: Sequence[float | None]) -> float | None:
    """(largest - smallest) / median of a target's rounds: by so much two measurements of the same thing differ here.
    None for fewer than two rounds."""
    known = [value for value in rounds if value is not None]
    return (max(known) - min(known)) / median(known) if len(known) > 1 and median(known) else None


def doubts_of_spread(spreads: Mapping[str, float | None]) -> Iterator[Flag]:
    loud = {metric: floor for metric, floor in spreads.items() if floor is not None and floor > NOISE_LIMIT}
    if loud:
        words = ", ".join(f"{metric} {floor:.0%}" for metric, floor in loud.items())
        yield Flag(code="noise", severity="suspect", text=f"rounds of the same work differ by {words}")
