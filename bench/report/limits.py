"""What a server on this host will start from."""

from __future__ import annotations

from collections.abc import Iterator

from bench.limits.result import LimitsPart
from bench.report.blocks import Definitions, Finding, Notes, Section, Table, Term, number
from bench.report.figures import LinePlot, Series
from bench.result import Result

TERMS = (
    Term("prefill tok/s", "tokens of a prompt / time to read it; the median of the rounds."),
    Term("decode tok/s", "sequences / time of a step; the median step, all sequences together."),
)


def findings(result: Result) -> Iterator[Finding]:
    if result.limits:
        limits = result.limits.limits
        words = f"{limits.threads} threads for one row, {limits.threads_batch} for more, {limits.batch} rows in a batch"
        yield Finding("Fastest here", words)


def sections(result: Result) -> Iterator[Section]:
    part = result.limits
    if part is None:
        return
    yield Section("Threads and batches", (_threads(part), _batches(part)))
    yield Section("Tokens per second", (_prefill(part), _decode(part), _by_batch(part), Definitions(TERMS)))
    if part.limits.step_seconds:
        yield Section("What a decode call takes by its rows", (_steps(part.limits.step_seconds),))
    written = f"written to {part.file}" if part.file else "nothing was written for the server"
    yield Section("For the server", (Notes((written,)),))


def _threads(part: LimitsPart) -> Table:
    rows = tuple((str(one.threads), number(one.prefill_tok_s), number(one.decode_tok_s)) for one in part.threads)
    return Table(("threads", "prefill tok/s", "decode tok/s"), rows)


def _batches(part: LimitsPart) -> Table:
    rows = tuple((str(one.batch), number(one.prefill_tok_s)) for one in part.batches)
    return Table(("rows in a batch", "prefill tok/s"), rows)


def _prefill(part: LimitsPart) -> Table:
    rows = tuple((str(one.length), number(one.tok_s)) for one in part.limits.prefill)
    return Table(("tokens of the prompt", "prefill tok/s"), rows)


def _decode(part: LimitsPart) -> LinePlot:
    found = part.limits.decode
    series = []
    for depth in sorted({one.depth for one in found}):
        points = sorted((one.batch, one.tok_s) for one in found if one.depth == depth)
        x, y = zip(*points, strict=True)
        series.append(Series(f"{depth} tokens deep", x, y))
    return LinePlot(
        "Generation by batch",
        "decode tok/s of all sequences together; each point is the median step.",
        "sequences",
        "decode tok/s",
        tuple(series),
    )


def _by_batch(part: LimitsPart) -> Table:
    found = sorted((one.depth, one.batch, one.tok_s) for one in part.limits.decode)
    rows = tuple((str(depth), str(batch), number(tok_s)) for depth, batch, tok_s in found)
    return Table(("tokens deep", "sequences", "decode tok/s"), rows)


def _steps(seconds: dict[int, float]) -> Table:
    rows = tuple((str(n), number(1e3 * each), number(each / seconds[1], 2)) for n, each in sorted(seconds.items()))
    return Table(("rows", "ms", "times a single row"), rows)
