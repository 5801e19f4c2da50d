"""Reasons to doubt that the requests themselves show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Literal, TypeAlias

from bench.prompt_spec import Cache, Mixed
from bench.record import POLL, RequestRecord
from bench.result import Flag
from bench.stats import required_samples

FRESH_SHARE = 0.8
"""Of a cold prompt's tokens that must have been computed. The chat template around it may come from a cache."""
WARM_SHARE = 0.5
"""Of a warm prompt's tokens that must have come from a cache."""
LENGTH_TOLERANCE = 0.05
TOKENS_IN_FIRST_CHUNK = 2.0

Records: TypeAlias = Sequence[RequestRecord]
Severity: TypeAlias = Literal["suspect", "invalid"]
Check: TypeAlias = Callable[[Records], str | None]
Checks: TypeAlias = tuple[tuple[str, Severity, Check], ...]


def doubts_of_requests(every: Records, cache: Cache) -> Iterator[Flag]:
    """`cache` is what the scenario wanted caches to know."""
    ended_well = [record for record in every if record.ok]
    for checks, records in ((OF_FAILURES, every), (OF_SUCCESSES, ended_well), *_of_cache(cache, ended_well)):
        for code, severity, check in checks:
            if records and (text := check(records)):
                yield Flag(code=code, severity=severity, text=text)


def _of_cache(cache: Cache, records: Records) -> Iterator[tuple[Checks, Records]]:
    """What is to be checked of which requests: in a mix, of those that were meant warm and of those that were not."""
    if not isinstance(cache, Mixed):
        yield OF_CACHE[cache], records
        return
    yield OF_CACHE["cold"], [record for record in records if not cache.is_warm(record.index)]
    yield OF_CACHE["warm"], [record for record in records if cache.is_warm(record.index)]


def _errors(records: Records) -> str | None:
    failed = [record for record in records if record.err and not (record.censored or record.refused)]
    return f"{len(failed)} of {len(records)} requests failed; the first: {failed[0].err}" if failed else None


def _refused(records: Records) -> str | None:
    refused = [record for record in records if record.refused]
    if not refused:
        return None
    waits = [record.retry_after_s for record in refused if record.retry_after_s is not None]
    wait = f", Retry-After {median(waits):.0f} s in the median" if waits else ""
    return f"{len(refused)} of {len(records)} requests were refused (HTTP {refused[0].status}{wait})"


def _censored(records: Records) -> str | None:
    count = sum(record.censored for record in records)
    return f"{count} of {len(records)} requests were cut off by the end of the run" if count else None


def _too_few(records: Records) -> str | None:
    needed = required_samples(50)
    return f"{len(records)} requests ended well: a median needs {needed}" if len(records) < needed else None


def _prompt_length(records: Records) -> str | None:
    counted = [r for r in records if r.isl and r.isl_req and r.template_tokens is not None]
    found = [((r.isl or 0) - (r.template_tokens or 0)) / r.isl_req for r in counted]
    if not found or abs(median(found) - 1) <= LENGTH_TOLERANCE:
        return None
    return f"prompts have {median(found) - 1:+.0%} of the tokens that were asked for"


def _output_length(records: Records) -> str | None:
    off = [r for r in records if r.osl is not None and abs(r.osl - r.osl_req) > LENGTH_TOLERANCE * r.osl_req]
    return f"{len(off)} of {len(records)} answers have another length than {off[0].osl_req} tokens" if off else None


def _chunks_counted(records: Records) -> str | None:
    counted = any(record.token_source == "chunks" for record in records)
    return "the server sent no usage, so chunks were counted as tokens" if counted else None


def _polled(records: Records) -> str | None:
    if all(record.transport != POLL for record in records):
        return None
    return "replies were polled: a first token is as late as the poll that brought it, gaps between tokens are unknown"


def _bundled(records: Records) -> str | None:
    streamed = [record for record in records if record.osl and record.chars and record.transport != POLL]
    first = [(record.osl or 0) * record.chars[0] / sum(record.chars) for record in streamed]
    if not first or median(first) <= TOKENS_IN_FIRST_CHUNK:
        return None
    return f"about {median(first):.0f} tokens in the first chunk: the decode rate takes it for one token"


def _cached(records: Records) -> str | None:
    warm = [r for r in records if r.cached and r.isl and r.isl - r.cached < FRESH_SHARE * _asked_tokens(r)]
    return f"{len(warm)} of {len(records)} prompts that were meant cold came from a cache" if warm else None


def _asked_tokens(record: RequestRecord) -> int:
    """Conversations of a file have no length that was asked for."""
    return record.isl_req or (record.isl or 0) - (record.template_tokens or 0)


def _not_cached(records: Records) -> str | None:
    if all(record.cached is None for record in records):
        return "the server does not tell what came from its cache, so whether prompts were warm is unknown"
    anew = [r for r in records if r.isl and (r.cached or 0) < WARM_SHARE * r.isl]
    return f"{len(anew)} of {len(records)} prompts that were meant warm were computed anew" if anew else None


OF_FAILURES: Checks = (
    ("errors", "invalid", _errors),
    ("refused", "suspect", _refused),
    ("censored", "suspect", _censored),
)
OF_SUCCESSES: Checks = (
    ("samples", "suspect", _too_few),
    ("prompt_length", "suspect", _prompt_length),
    ("output_length", "suspect", _output_length),
    ("token_source", "suspect", _chunks_counted),
    ("transport", "suspect", _polled),
    ("bundled", "suspect", _bundled),
)
OF_CACHE: dict[Literal["cold", "warm"], Checks] = {
    "cold": (("cached", "invalid", _cached),),
    "warm": (("not_cached", "suspect", _not_cached),),
}
