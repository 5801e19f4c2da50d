"""Cold starts: how long until the first answer, and where that time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median, median_low

from bench.cold.doubts import doubts_of
from bench.cold.phases import PARTS, taken_apart, unseen
from bench.cold.result import ColdPart, ColdSeries, ColdStart, Imports
from bench.report.blocks import Block, Definitions, Finding, Notes, Section, Table, Term, Text, number
from bench.report.figures import BarPlot
from bench.result import Flag, Result

HEADERS = (
    "start", "listening s", "ready s", "first answer s", "least", "most", "again ms", "tokens in", "cached", "n",
)  # fmt: skip
MOMENTS = ("asked", "ready")
SHOWN_PACKAGES = 12
TERMS = (
    Term("listening", "from the start of the command until a connection is taken; median of the starts."),
    Term("ready", "the same until the server says that its model is loaded, asked every 20 ms."),
    Term(
        "first answer",
        "the same until the first token of a request that is sent then, or until the first vector. Least and most are"
        " of single starts.",
    ),
    Term("again", "what a second request of the same kind takes then, from sending it to its first token or vector."),
    Term("cached", "prompt tokens of the first request that the server did not have to compute."),
    Term(
        "page cache",
        "warm: the weights, and packs, were read before the start. cold: the kernel was told to drop them from memory;"
        " Python and libraries stay there. A virtual machine's host may still have them in its own.",
    ),
    Term(
        "not in the ledger",
        "first answer - the sum of the server's phases: the process's beginning, what lies between phases, the wait"
        " until ready is seen, the way of the request. Without a ledger all until the request is sent.",
    ),
    Term("packs", "reading prefix packs back, which the warm-up does and is not counted there."),
    Term("self time", "of a package's modules without what they import from elsewhere, waits for the GIL included."),
)


def findings(result: Result) -> Iterator[Finding]:
    if result.cold:
        for one in result.cold.series:
            yield Finding(f"First answer, {_name(one, result.cold)}", f"{_first(one) / 1e3:.2f} s after the command")


def sections(result: Result) -> Iterator[Section]:
    part = result.cold
    if part is None or not part.series:
        return
    yield Section("Cold starts", tuple(_starts(part)))
    yield Section("Where the time goes", tuple(_phases(part)))
    if part.imports:
        yield Section("Imports", [block for one in part.imports for block in _imports(one)], folded=True)


def _starts(part: ColdPart) -> Iterator[Block]:
    doubts = [list(doubts_of(one)) for one in part.series]
    doubted = frozenset(index for index, found in enumerate(doubts) if found)
    yield Table(HEADERS, tuple(_row(one, part) for one in part.series), doubted)
    yield Notes((*_ratios(part), *_doubts(part, doubts)))
    yield Definitions(TERMS)


def _row(series: ColdSeries, part: ColdPart) -> tuple[str, ...]:
    first = [start.first_ms for start in series.starts]
    seconds = (_median(series, "listening_ms"), _median(series, "ready_ms"), median(first), min(first), max(first))
    tokens = (_median(series, "prompt_tokens"), _median(series, "cached_tokens"))
    return (
        _name(series, part),
        *(number(value and value / 1e3, 2) for value in seconds),
        number(_median(series, "again_ms"), 0),
        *(number(value, 0) for value in tokens),
        str(len(series.starts)),
    )


def _median(series: ColdSeries, field: str) -> float | None:
    values = [getattr(start, field) for start in series.starts]
    return median(value for value in values if value is not None) if any(v is not None for v in values) else None


def _first(series: ColdSeries) -> float:
    return median(start.first_ms for start in series.starts)


def _name(series: ColdSeries, part: ColdPart) -> str:
    """What tells it from the others."""
    several = {series.model: {one.model for one in part.series}, series.target: {one.target for one in part.series}}
    told = [name for name, all_names in several.items() if len(all_names) > 1]
    return ", ".join((*told, f"{series.page_cache} page cache", series.prompt))


def _ratios(part: ColdPart) -> Iterator[str]:
    """Of each with the first that has the same model: what a longer prompt, a cold page cache, another server do."""
    for one in part.series:
        base = next(other for other in part.series if other.model == one.model)
        if one is not base:
            ratio = _first(one) / _first(base)
            yield f"{_name(one, part)} / {_name(base, part)}: {ratio:.2f} times the time to the first answer"


def _doubts(part: ColdPart, doubts: Sequence[Sequence[Flag]]) -> Iterator[str]:
    for one, flags in zip(part.series, doubts, strict=True):
        yield from (f"{flag.severity}: {_name(one, part)}: {flag.text}" for flag in flags)


def _typical(series: ColdSeries) -> ColdStart:
    """The start whose first answer came after the median time: its parts add up, which medians would not."""
    middle = median_low(start.first_ms for start in series.starts)
    return next(start for start in series.starts if start.first_ms == middle)


def _phases(part: ColdPart) -> Iterator[Block]:
    typical = [taken_apart(_typical(one)) for one in part.series]
    yield BarPlot(
        "From the command to the first answer",
        "Of each kind the start with the median time. What a server tells of its phases, and what it cannot see.",
        "s",
        tuple(_name(one, part) for one in part.series),
        {name: tuple(ms if (ms := parts[name]) is None else ms / 1e3 for parts in typical) for name in PARTS},
    )
    told = [one for one in part.series if one.starts[0].ledger is not None]
    for model in dict.fromkeys(one.model for one in told):
        yield Text(f"The server's own ledger, {model}: medians in milliseconds, and below them what it does not see.")
        yield _ledger([one for one in told if one.model == model], part)


def _ledger(series: Sequence[ColdSeries], part: ColdPart) -> Table:
    columns = [_medians([{**(start.ledger or {}), **unseen(start)} for start in one.starts]) for one in series]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = tuple((_phase(name), *(number(column.get(name)) for column in columns)) for name in names)
    return Table(("phase", *(_name(one, part) for one in series)), rows)


def _medians(ledgers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """In the order of the phases, what the ledger cannot see at the end."""
    return {name: median(ledger[name] for ledger in ledgers if name in ledger) for name in ledgers[0]}


def _phase(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words} (age of the process)" if name in MOMENTS else words


def _imports(imports: Imports) -> Iterator[Block]:
    shown = imports.packages[:SHOWN_PACKAGES]
    rows = tuple((one.package, str(one.modules), number(one.self_ms)) for one in shown)
    yield Text(
        f"{imports.target}, {imports.model}: {imports.total_ms:,.0f} ms in {len(imports.packages)} packages until the"
        " first answer, in a start of its own that does not count."
    )
    yield Table(("package", "modules", "self time, ms"), rows)
