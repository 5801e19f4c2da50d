"""Cold starts: how long until the first answer, and where that time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median, median_low

from bench.cold.doubts import doubts_of
from bench.cold.phases import PARTS, taken_apart, unseen
from bench.cold.result import ColdPart, ColdSeries, ColdStart, Imports
from bench.report.blocks import Block, Definitions, Finding, Notes, Section, Table, Term, Text, number
from bench.report.figures import BarPlot
from bench.result import Result

HEADERS = ("start", "page cache", "listens s", "ready s", "first s", "range s", "again ms", "cached")
RESPECTS = ("target", "page_cache", "prompt")
MOMENTS = ("asked", "ready")
SHOWN_PACKAGES = 12
TERMS = (
    Term("listens", "from the start of the command until a connection is taken; median of the starts."),
    Term("ready", "the same until the server says that its model is loaded, asked every 20 ms."),
    Term(
        "first",
        "the same until the first token of a request that is sent then, or until the first vector. The range is that of"
        " single starts.",
    ),
    Term("again", "what a second request of the same kind takes then, from sending it to its first token or vector."),
    Term("cached", "prompt tokens of the first request that the server did not have to compute, and all of them."),
    Term(
        "page cache",
        "the share of the weights, and packs, that lay in it before the start, as mincore tells; median of the starts."
        " Before a warm start they are read; before a cold one the kernel is told to drop them (POSIX_FADV_DONTNEED),"
        " while Python and libraries stay. A virtual machine's host may still have them in a cache of its own.",
    ),
    Term(
        "known prefix",
        "the prompt begins as the first of the YAML's prefixes does, of which there may be a pack, and goes on with the"
        " shortest of the other prompts. New prefix: the same behind a word that nobody has seen.",
    ),
    Term(
        "not in the ledger",
        "first - the sum of the server's phases: the process's beginning, what lies between phases, the wait"
        " until ready is seen, the way of the request. Without a ledger all until the request is sent.",
    ),
    Term("packs", "reading prefix packs back, which the warm-up does and is not counted there."),
    Term("self time", "of a package's modules without what they import from elsewhere, waits for the GIL included."),
)


def findings(result: Result) -> Iterator[Finding]:
    """Of the first kind of prompt, and what a known prefix is worth."""
    if (part := result.cold) is None:
        return
    for one in part.series:
        where = ", ".join((*_who(one, part), f"{one.page_cache} page cache"))
        base = _twin(one, "prompt", part.series)
        if base is None:
            yield Finding(f"First answer, {where}", f"{_first(one) / 1e3:.2f} s after the command ({one.prompt})")
        elif one.prefix == "known":
            ratio = _first(one) / _first(base)
            yield Finding(f"Known prefix, {where}", f"{ratio:.2f} times as long as {base.prompt}")


def sections(result: Result) -> Iterator[Section]:
    part = result.cold
    if part is None or not part.series:
        return
    yield Section(f"Cold starts, {part.rounds} of each kind", tuple(_starts(part)))
    yield Section("Where the time goes", tuple(_phases(part)))
    if part.imports:
        yield Section("Imports", [block for one in part.imports for block in _imports(one)], folded=True)


def _starts(part: ColdPart) -> Iterator[Block]:
    doubted = frozenset(place for place, one in enumerate(part.series) if any(doubts_of(one)))
    yield Table(HEADERS, tuple(_row(one, part) for one in part.series), doubted)
    if ratios := tuple(_ratios(part)):
        yield Text("The time to the first token or vector, compared:")
        yield Notes(ratios)
    yield Definitions(TERMS)


def _row(series: ColdSeries, part: ColdPart) -> tuple[str, ...]:
    first = [start.first_ms / 1e3 for start in series.starts]
    moments = (_median(series, field) for field in ("listening_ms", "ready_ms", "first_ms"))
    share, cached = _median(series, "cached"), _median(series, "cached_tokens")
    tokens = number(_median(series, "prompt_tokens"), 0)
    return (
        _name(series, part),
        "n/a" if share is None else f"{share:.0%}",
        *(number(moment and moment / 1e3, 2) for moment in moments),
        f"{min(first):.2f}-{max(first):.2f}",
        number(_median(series, "again_ms"), 0),
        "n/a" if cached is None else f"{cached:,.0f}/{tokens}",
    )


def _median(series: ColdSeries, field: str) -> float | None:
    values = [value for start in series.starts if (value := getattr(start, field)) is not None]
    return median(values) if values else None


def _first(series: ColdSeries) -> float:
    return median(start.first_ms for start in series.starts)


def _name(series: ColdSeries, part: ColdPart) -> str:
    return ", ".join((*_who(series, part), f"{series.page_cache}: {series.prompt}"))


def _who(series: ColdSeries, part: ColdPart) -> Iterator[str]:
    """Model and target, where there are several."""
    for field in ("model", "target"):
        if len({getattr(one, field) for one in part.series}) > 1:
            yield getattr(series, field)


def _ratios(part: ColdPart) -> Iterator[str]:
    """What one difference does: another server, a cold page cache, another prompt."""
    for one in part.series:
        for field in RESPECTS:
            if twin := _twin(one, field, part.series):
                ratio = _first(one) / _first(twin)
                yield f"{_name(one, part)} / {_name(twin, part)}: {ratio:.2f}"


def _twin(one: ColdSeries, field: str, series: Sequence[ColdSeries]) -> ColdSeries | None:
    """The series that differs in this field only, in which it is as the model's first one."""
    base = next(other for other in series if other.model == one.model)
    wanted = {name: getattr(one, name) for name in ("model", *RESPECTS)} | {field: getattr(base, field)}
    found = (other for other in series if all(getattr(other, name) == value for name, value in wanted.items()))
    return next((other for other in found if other is not one), None)


def _typical(series: ColdSeries) -> ColdStart:
    """The start whose first answer came after the median time: its parts add up, which medians would not."""
    middle = median_low(start.first_ms for start in series.starts)
    return next(start for start in series.starts if start.first_ms == middle)


def _phases(part: ColdPart) -> Iterator[Block]:
    typical = [taken_apart(_typical(one)) for one in part.series]
    yield BarPlot(
        "From the command to the first answer",
        "Of each kind the start with the median time. What a server tells of its phases, and what it cannot see.",
        "ms",
        tuple(_name(one, part) for one in part.series),
        {name: tuple(parts[name] for parts in typical) for name in PARTS},
    )
    told = [one for one in part.series if one.starts[0].ledger is not None]
    for model in dict.fromkeys(one.model for one in told):
        yield Text(
            f"The server's own ledger, {model}: medians in milliseconds, and below them what it does not see. It counts"
            " from the process's beginning, which Linux tells to within 10 ms."
        )
        yield _ledger([one for one in told if one.model == model], part)


def _ledger(series: Sequence[ColdSeries], part: ColdPart) -> Table:
    told = [_medians([start.ledger or {} for start in one.starts]) for one in series]
    lost = [_medians([unseen(start) for start in one.starts]) for one in series]
    rows = tuple(
        (_phase(name), *(number(column.get(name)) for column in columns))
        for columns in (told, lost)
        for name in _names(columns)
    )
    return Table(("phase", *(_name(one, part) for one in series)), rows)


def _medians(ledgers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each phase, over the starts that had it."""
    return {name: median(ledger[name] for ledger in ledgers if name in ledger) for name in _names(ledgers)}


def _names(ledgers: Sequence[Mapping[str, float]]) -> list[str]:
    """All phases that occur, in the order of the ledger with the most."""
    return list(dict.fromkeys(name for ledger in sorted(ledgers, key=len, reverse=True) for name in ledger))


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
