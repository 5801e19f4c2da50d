"""The figures of a load: latency, throughput, and what one costs of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from bench.load.findings import Curve, Point
from bench.report.figures import Limit, LinePlot, Series
from bench.slo import Slo
from bench.stats import required_samples

Value: TypeAlias = Callable[[Point], float | None]
WHENCE = (
    "From the moment a request is due, so the wait for a late client or a busy server is in it; p95 needs"
    f" {required_samples(95)} requests"
)


def plots(curves: Sequence[Curve], axis: str, slo: Slo | None) -> Iterator[LinePlot]:
    """Of one sweep or ramp: a line for each target."""
    yield from _latency_plots(curves, axis, slo)
    yield _throughput_plot(curves, axis)
    yield _trade_plot(curves)


def _latency_plots(curves: Sequence[Curve], axis: str, slo: Slo | None) -> Iterator[LinePlot]:
    limits = slo.limits if slo else {}
    for name, key in (("TTFT", "ttft"), ("End to end", "e2e")):
        series = [
            line for curve in curves for p in ("p50", "p95") for line in _latency_lines(curve, f"{key}_{p}_ms", p)
        ]
        yield LinePlot(
            title=f"{name} over {axis}",
            caption=f"p50 and p95 of the requests of all rounds. {WHENCE}. From the saturated rate on it is grey.",
            x_label=axis,
            y_label=f"{name} (ms)",
            series=tuple(series),
            limits=(Limit(f"SLO {limit:g} ms", limit),) if (limit := limits.get(f"{key}_ms")) else (),
            log_y=True,
        )


def _latency_lines(curve: Curve, field: str, words: str) -> Iterator[Series]:
    """Grey from the saturated rate on, joined to what comes before."""
    sound = [point for point in curve.points if curve.saturation is None or point.x < curve.saturation]
    broken = curve.points[max(0, len(sound) - 1) :] if len(sound) < len(curve.points) else []
    for points, doubted in ((sound, False), (broken, True)):
        if points:
            name = f"{curve.target} {words}{' (saturated)' if doubted else ''}"
            yield _line(name, points, lambda point: point.x, lambda point: getattr(point, field), doubted)


def _throughput_plot(curves: Sequence[Curve], axis: str) -> LinePlot:
    series = [
        _line(f"{curve.target}, {words}", curve.points, lambda point: point.x, value)
        for curve in curves
        for words, value in (("all", lambda point: point.out_tok_s), ("per user", lambda point: point.decode_tok_s))
    ]
    return LinePlot(
        title=f"Output tokens per second over {axis}",
        caption="All: completion tokens within the steady window / its length, median of the rounds. Per user: the "
        "median request's (tokens - 1) / (last token - first token).",
        x_label=axis,
        y_label="tokens/s",
        series=tuple(series),
    )


def _trade_plot(curves: Sequence[Curve]) -> LinePlot:
    lines = []
    for curve in curves:
        points = [point for point in curve.points if point.out_tok_s is not None]
        lines.append(_line(curve.target, points, lambda point: point.out_tok_s, lambda point: point.e2e_p50_ms))
    return LinePlot(
        title="Throughput against latency",
        caption="One point for each step of the load; right and low is better. Output tokens per second as above, e2e "
        "p50 from the moment a request is due.",
        x_label="output tokens/s",
        y_label="e2e p50 (ms)",
        series=tuple(line for line in lines if line.x),
    )


def _line(name: str, points: Sequence[Point], x: Value, y: Value, doubted: bool = False) -> Series:
    places = tuple(place for point in points if (place := x(point)) is not None)
    assert len(places) == len(points), "only points with a place are drawn"
    return Series(name, places, tuple(map(y, points)), doubted=doubted)
