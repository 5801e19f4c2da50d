"""What a target does over time: tokens per second, and how many requests it has at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.record import RequestRecord
from bench.report.figures import LinePlot, Series

WINDOWS = 24
X_LABEL = "seconds since the first request was due"

Requests = Mapping[str, Sequence[RequestRecord]]
"""Of one stage and round, by target; all of them ended."""
Floats = NDArray[np.float64]


def token_rate(requests: Requests) -> LinePlot:
    series = tuple(_series(target, found, _tokens_in) for target, found in requests.items())
    caption = "Tokens of all requests in each window / its length, in round 1. A chunk's tokens count when it arrives."
    return LinePlot("Tokens over time", caption, X_LABEL, "tok/s", series)


def in_flight(requests: Requests) -> LinePlot:
    series = tuple(_series(target, found, _seconds_in) for target, found in requests.items())
    caption = "Requests due and not yet ended, as the mean over each window, in round 1."
    return LinePlot("Requests in flight", caption, X_LABEL, "requests", series)


def _series(
    target: str, records: Sequence[RequestRecord], totals: Callable[[Sequence[RequestRecord], Floats], Floats]
) -> Series:
    """`totals` of each window / its length, at the window's middle."""
    start = min(record.t_sched for record in records)
    edges = np.linspace(0.0, (max(record.t_end or 0 for record in records) - start) / 1e9, WINDOWS + 1)
    rates = totals(records, edges + start / 1e9) / np.diff(edges)
    return Series(target, tuple((edges[:-1] + edges[1:]) / 2), tuple(map(float, rates)))


def _tokens_in(records: Sequence[RequestRecord], edges: Floats) -> Floats:
    arrivals = [arrival for record in records for arrival in _arrivals(record)]
    times, tokens = zip(*arrivals, strict=True) if arrivals else ((), ())
    counts: Floats = np.histogram(times, bins=edges, weights=tokens)[0]
    return counts


def _arrivals(record: RequestRecord) -> Iterator[tuple[float, float]]:
    """When how many tokens came. A chunk that does not say has the share of the tokens that it has of the text."""
    characters = sum(record.chars)
    for i, (at, tokens) in enumerate(record.chunks):
        if tokens is None and record.osl and characters:
            yield ((record.t_send or 0) + at) / 1e9, record.osl * record.chars[i] / characters
        elif tokens is not None:
            yield ((record.t_send or 0) + at) / 1e9, tokens


def _seconds_in(records: Sequence[RequestRecord], edges: Floats) -> Floats:
    """Of each window, summed over the requests in flight."""
    spent = np.zeros(WINDOWS)
    for record in records:
        begin, end = record.t_sched / 1e9, (record.t_end or 0) / 1e9
        spent += np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0.0, None)
    return spent
