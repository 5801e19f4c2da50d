"""Where a curve stops rising as it did: the knee of throughput over load."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MIN_POINTS = 4
CANDIDATES = 200
FLATTER = 0.5
"""Of the slope before the knee; a smaller change is not called one."""
RISE = 0.1
"""Of the highest value, up to the knee; a smaller one may be noise on a level curve."""


def knee(x: Sequence[float], y: Sequence[float]) -> float | None:
    """The x at which two joined line segments, y = a + b x + c max(0, x - k), fit best (least squares over k, as in
    guidellm's knee analysis). None for fewer than 4 points, or where the second segment is not at most half as steep
    as the first, or the first hardly rises: the load swept has no knee in it."""
    if len(x) < MIN_POINTS:
        return None
    xs, ys = np.array(x, dtype=float), np.array(y, dtype=float)
    order = np.argsort(xs)
    xs, ys = xs[order], ys[order]
    candidates = np.union1d(xs[1:-1], np.linspace(xs[1], xs[-2], CANDIDATES))
    fits = [(_fit(xs, ys, float(k)), float(k)) for k in candidates]
    (_, before, bend), at = min(fits, key=lambda fit: fit[0][0])
    rises = before * (at - xs[0]) > RISE * ys.max()
    return at if rises and before + bend <= FLATTER * before else None


def _fit(x: np.ndarray, y: np.ndarray, k: float) -> tuple[float, float, float]:
    """The sum of squared errors, the slope before k, and by how much it changes there."""
    columns = np.column_stack([np.ones_like(x), x, np.maximum(0.0, x - k)])
    (start, slope, bend), *_ = np.linalg.lstsq(columns, y, rcond=None)
    errors = y - columns @ np.array([start, slope, bend])
    return float((errors**2).sum()), float(slope), float(bend)
