"""Reasons to doubt a number, found in the measurement itself: each trap that makes benches lie is one check here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal

from bench.record import RequestRecord
from bench.result import Flag
from bench.sample import HostUse, Sample
from bench.stats import percentile
from bench.target_spec import TargetSpec

FRESH_SHARE = 0.8
"""Of a cold prompt's tokens that must have been computed. The chat template around it may come from a cache."""
LENGTH_TOLERANCE = 0.05
TOKENS_IN_FIRST_CHUNK = 2.0
LAG_SHARE_OF_TTFT = 0.01

CLIENT_CORES = 0.7
IDLE_CORES = 0.05
NEIGHBOUR_CORES = 0.1
STEAL_CORES = 0.05

Records = Sequence[RequestRecord]
Check = Callable[[Records], str | None]


def doubts(samples: Sequence[Sample], *, rounds: int) -> list[Flag]:
    """Of one stage on one target, over its rounds; a check that finds nothing says nothing."""
    return [*_of_run(samples, rounds), *_of_records(samples), *_of_host(samples)]


def doubts_of_builds(features: Mapping[str, str | None], targets: Sequence[TargetSpec]) -> list[Flag]:
    """Two copies of llama.cpp on one host are one machine only if both use its instructions."""
    started = {target.kind for target in targets if target.started_here}
    ours, theirs = features.get("llama-cpp-python"), features.get("xllamacpp")
    if not (ours and theirs and "llama-server" in started and started & {"ours", "bare"}):
        return []
    only_ours, only_theirs = _enabled(ours) - _enabled(theirs), _enabled(theirs) - _enabled(ours)
    sides = (("llama-cpp-python", only_ours), ("xllamacpp", only_theirs))
    words = [f"only {package} was compiled for {', '.join(sorted(extra))}" for package, extra in sides if extra]
    text = f"{'; '.join(words)}: ratios to llama-server compare compilers as well as servers"
    return [Flag(code="builds", severity="suspect", text=text)] if words else []


def _enabled(features: str) -> set[str]:
    """From llama.cpp's own line: `CPU : AVX2 = 1 | FMA = 1 | ...`."""
    return {name.strip() for part in features.split("|") for name, _, on in [part.partition("=")] if on.strip() == "1"}


def _of_run(samples: Sequence[Sample], rounds: int) -> Iterator[Flag]:
    completed = sum(sample.host is not None for sample in samples)
    if completed < rounds:
        yield Flag(code="rounds", severity="suspect", text=f"{completed} of {rounds} rounds were completed")


def _of_records(samples: Sequence[Sample]) -> Iterator[Flag]:
    every = [record for sample in samples for record in sample.records]
    ended_well = [record for record in every if record.ok]
    for code, severity, check in CHECKS:
        records = every if check in OF_FAILURES else ended_well
        if records and (text := check(records)):
            yield Flag(code=code, severity=severity, text=text)


def _of_host(samples: Sequence[Sample]) -> Iterator[Flag]:
    uses = [sample.host for sample in samples if sample.host]
    for code, limit, words, cores in HOST_LIMITS:
        used = max((value for use in uses if (value := cores(use)) is not None), default=0.0)
        if used > limit:
            yield Flag(code=code, severity="suspect", text=f"{words} used {used:.2f} cores in one round")


def _errors(records: Records) -> str | None:
    failed = [record for record in records if record.err and not record.censored]
    return f"{len(failed)} of {len(records)} requests failed; the first: {failed[0].err}" if failed else None


def _censored(records: Records) -> str | None:
    count = sum(record.censored for record in records)
    return f"{count} of {len(records)} requests were cut off by the end of the run" if count else None


def _cached(records: Records) -> str | None:
    warm = [r for r in records if r.cached and r.isl and r.isl - r.cached < FRESH_SHARE * r.isl_req]
    return f"{len(warm)} of {len(records)} prompts that were meant cold came from a cache" if warm else None


def _output_length(records: Records) -> str | None:
    off = [r for r in records if r.osl is not None and abs(r.osl - r.osl_req) > LENGTH_TOLERANCE * r.osl_req]
    return f"{len(off)} of {len(records)} answers have another length than {off[0].osl_req} tokens" if off else None


def _chunks_counted(records: Records) -> str | None:
    counted = any(record.token_source == "chunks" for record in records)
    return "the server sent no usage, so chunks were counted as tokens" if counted else None


def _bundled(records: Records) -> str | None:
    first = [record.osl * record.chars[0] / sum(record.chars) for record in records if record.osl and record.chars]
    if not first or median(first) <= TOKENS_IN_FIRST_CHUNK:
        return None
    return f"about {median(first):.0f} tokens in the first chunk: the decode rate takes it for one token"


def _lag(records: Records) -> str | None:
    lag = percentile([record.lag_ms for record in records if record.lag_ms is not None], 95)
    ttft = median(record.ttft_ms for record in records if record.ttft_ms is not None)
    return f"requests went out {lag:.1f} ms late (p95)" if lag > LAG_SHARE_OF_TTFT * ttft else None


CHECKS: tuple[tuple[str, Literal["suspect", "invalid"], Check], ...] = (
    ("errors", "invalid", _errors),
    ("censored", "suspect", _censored),
    ("cached", "invalid", _cached),
    ("output_length", "suspect", _output_length),
    ("token_source", "suspect", _chunks_counted),
    ("bundled", "suspect", _bundled),
    ("lag", "suspect", _lag),
)
OF_FAILURES = (_errors, _censored)

HOST_LIMITS: tuple[tuple[str, float, str, Callable[[HostUse], float | None]], ...] = (
    ("client_cpu", CLIENT_CORES, "the bench's own client", lambda use: use.client),
    ("idle_targets", IDLE_CORES, "targets that should have been idle", lambda use: use.idle_targets),
    ("neighbours", NEIGHBOUR_CORES, "other processes of this host", lambda use: use.neighbours),
    ("steal", STEAL_CORES, "other tenants of the machine (steal)", lambda use: use.steal),
)
