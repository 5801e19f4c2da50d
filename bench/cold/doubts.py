"""Reasons to doubt a series of cold starts."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cold.result import ColdPart, ColdSeries
from bench.doubts.machine import doubts_of_machine
from bench.result import Flag

COLD_SHARE, WARM_SHARE = 0.05, 0.95
"""Of the weights in the page cache: at most, at least."""
PACKED_SHARE = 0.5
"""Of the prompt's tokens, below which its prefix came from no pack."""


def doubts_of_part(part: ColdPart) -> Iterator[Flag]:
    """Each once: of the machine over all starts, of a series with its name."""
    yield from doubts_of_machine([start.host for series in part.series for start in series.starts])
    for series in part.series:
        place = f"{series.model} on {series.target}, {series.page_cache} page cache, {series.prompt}"
        for flag in (*_of_page_cache(series), *_of_prefix(series)):
            yield flag.model_copy(update={"text": f"{place}: {flag.text}"})


def doubts_of(series: ColdSeries) -> Iterator[Flag]:
    yield from _of_page_cache(series)
    yield from _of_prefix(series)
    yield from doubts_of_machine([start.host for start in series.starts])


def _of_page_cache(series: ColdSeries) -> Iterator[Flag]:
    shares = [start.cached for start in series.starts if start.cached is not None]
    if not shares:
        text = (
            "whether the weights were in the page cache is not known: the kernel tells it to those who may write them"
        )
        yield Flag(code="page_cache_unknown", severity="suspect", text=text)
    elif series.page_cache == "cold" and max(shares) > COLD_SHARE:
        text = f"{max(shares):.0%} of the weights stayed in the page cache: end other programs that have them mapped"
        yield Flag(code="page_cache", severity="invalid", text=text)
    elif series.page_cache == "warm" and min(shares) < WARM_SHARE:
        text = f"only {min(shares):.0%} of the weights were in the page cache: is there memory for all of them?"
        yield Flag(code="page_cache", severity="invalid", text=text)


def _of_prefix(series: ColdSeries) -> Iterator[Flag]:
    known = [start for start in series.starts if series.prefix == "known" and start.ledger is not None]
    if any((start.cached_tokens or 0) < PACKED_SHARE * (start.prompt_tokens or 0) for start in known):
        text = f"the prefix was computed, there is no pack of it: run `warmfn pack {series.model}`"
        yield Flag(code="not_packed", severity="suspect", text=text)
