"""The parts of a server, each timed alone."""

from __future__ import annotations

from collections.abc import Iterator

from bench.micro.result import Timing
from bench.report.blocks import Definitions, Section, Table, Term, number
from bench.result import Result

HEADERS = ("part", "rounds", "median", "shortest", "IQR", "tok/s", "MBU")
TERMS = (
    Term("IQR", "the distance between the quartiles of the rounds."),
    Term(
        "MBU",
        "decode tok/s of one sequence x (weights read + batch x depth x KV bytes of a token) / measured bandwidth.",
    ),
)


def sections(result: Result) -> Iterator[Section]:
    if result.micro:
        rows = tuple(_row(timing) for timing in result.micro.timings)
        yield Section("Parts of a server", (Table(HEADERS, rows), Definitions(TERMS)))


def _row(timing: Timing) -> tuple[str, ...]:
    params = ", ".join(f"{key} {value}" for key, value in timing.params.items())
    mbu = "n/a" if timing.mbu is None else f"{100 * timing.mbu:.0f} %"
    times = (_time(timing.median_s), _time(timing.min_s), _time(timing.iqr_s))
    name = f"{timing.group} ({params})" if params else timing.group
    return name, str(timing.rounds), *times, number(timing.tok_s), mbu


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"
