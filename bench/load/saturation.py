"""Whether a server keeps up with an open loop, from what came in and what went out. It does not if, over the steady
window, all of this holds:

1. it completed less than 98 % of what arrived (achieved / requested, as inference-perf reports them), by the upper
   Wilson bound, so that a few requests in flight at the end do not decide;
2. the requests in the system grow, by more than 2 % of what arrived, and the TTFT grows: the slopes of their
   least-squares lines over time, by their lower 99 % bounds (guidellm's over-saturation detector).

Either alone cries wolf: a queue wanders. Together they fire, on simulated M/D/4 and M/M/4 queues, in 1 to 3 % of the
stages of 400 requests at 80 % load, in 88 to 94 % at 110 %, in all at 130 %; of 150 requests in 3 to 8, 77 to 80, 97 to
100 %. With fewer than 90 arrivals in the window there is no verdict.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from bench.load.window import Window
from bench.record import RequestRecord
from bench.stats import wilson

ACHIEVED_SHARE = 0.98
MIN_ARRIVALS = 90
Z99 = 2.575829
"""Two-sided 99 % of the normal distribution."""


def saturation(records: Sequence[RequestRecord], window: Window) -> str | None:
    """Why the server is taken to be saturated, or None."""
    due = [record for record in records if window.holds(record.t_sched)]
    answered = [record for record in due if record.ttft_ms is not None]
    if len(answered) < MIN_ARRIVALS:
        return None
    done = window.completions(records)
    _, most_of = wilson(min(done, len(due)), len(due))
    growth = _surely_rising(due, _in_system(records, due)) * window.seconds
    waits = _surely_rising(answered, [record.ttft_ms or 0.0 for record in answered]) * window.seconds
    if most_of >= ACHIEVED_SHARE or growth <= (1 - ACHIEVED_SHARE) * len(due) or waits <= 0:
        return None
    return f"{done} requests were completed while {len(due)} arrived, and the TTFT grew by {waits:.0f} ms or more"


def _in_system(records: Sequence[RequestRecord], at: Sequence[RequestRecord]) -> list[float]:
    """The requests that were due and not yet ended, at the moments at which these were due."""
    began = sorted(record.t_sched for record in records)
    ended = sorted(record.t_end for record in records if record.t_end is not None)
    return [float(bisect_right(began, r.t_sched) - bisect_left(ended, r.t_sched)) for r in at]


def _surely_rising(records: Sequence[RequestRecord], values: Sequence[float]) -> float:
    """The lower 99 % bound of the values' slope over the records' due times, per second."""
    x = (np.array([record.t_sched for record in records]) - records[0].t_sched) / 1e9
    y = np.array(values)
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    residuals = y - y.mean() - slope * (x - x.mean())
    error = float(np.sqrt((residuals**2).sum() / (len(x) - 2) / spread))
    return slope - Z99 * error
