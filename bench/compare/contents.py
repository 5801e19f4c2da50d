"""What is said of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.compare.changes import Change
from bench.compare.checks import RANK, Check, Status
from bench.compare.families import FAMILIES, Counted, Stated
from bench.compare.judge import Comparison
from bench.compare.side import Side
from bench.report.blocks import Block, Definitions, Finding, Notes, Report, Section, Table, Term, Text, Verdict, number
from bench.report.figures import Estimate, Forest
from bench.report.glossary import gathered
from bench.result import Flag

TERMS = (
    Term(
        "B / A",
        "percentile of all values of B over the same of A. The interval holds the true ratio in 95 of 100 such"
        " measurements: hierarchical bootstrap (runs, then rounds, then requests) of the logarithm's standard"
        " deviation, times Student's t by Welch's degrees of freedom.",
    ),
    Term(
        "margin",
        "the larger of the threshold (the gate's, else 5 % or the tolerance of what is compared by value) and the noise"
        " floor.",
    ),
    Term(
        "noise floor",
        "how far a round is from the median round of its side: median over both sides of |round / median - 1|.",
    ),
    Term(
        "verdict",
        "better or worse: the interval lies wholly beyond the margin. Same: wholly within it. Unresolved: neither yet;"
        " how many more rounds it may take follows from the interval falling with their square root.",
    ),
)


def _names(kind: type[Stated | Counted]) -> str:
    return ", ".join(family.name for family in FAMILIES.values() if isinstance(family, kind))


OF_CHANGES = (
    Term(
        "by value",
        "one number of each result, the median of several runs: the same where they differ by at most the margin,"
        f" relative to A. So are compared {_names(Stated)}.",
    ),
    Term(
        "by shares",
        "so many of so many, all runs together, and the 95 % interval of the difference (Newcombe's, from both Wilson"
        " intervals): better or worse where it lies wholly beyond the margin, the same where wholly within. So are"
        f" compared {_names(Counted)}. Requests of one round have much in common, so the interval is narrow rather than"
        " wide.",
    ),
)
STATES = {"pass": "good", "warn": "doubtful", "fail": "bad"}


def worst(checks: Sequence[Check]) -> Status:
    return max((check.status for check in checks), key=RANK.index, default="pass")


def report_of(
    a: Side, b: Side, comparisons: Sequence[Comparison | Change], checks: Sequence[Check], doubts: Sequence[Flag]
) -> Report:
    opening: list[Block] = [Verdict(tuple(_findings(comparisons, checks)))]
    opening += [Text(flag.text, flag.severity) for flag in doubts]
    in_rounds = [found for found in comparisons if isinstance(found, Comparison)]
    changes = [found for found in comparisons if isinstance(found, Change)]
    found, glossary = gathered([*_comparisons(in_rounds), *_changes(changes), *_checks(checks)])
    ending = [glossary] if glossary else []
    return Report(_title(a, b), tuple(opening), (*found, *ending, _sides(a, b)))


def _title(a: Side, b: Side) -> str:
    names = dict.fromkeys(run.result.name for run in a.runs + b.runs)
    return f"Comparison: {' and '.join(names)}"


def _findings(comparisons: Sequence[Comparison | Change], checks: Sequence[Check]) -> Iterator[Finding]:
    if checks:
        counts = Counter(check.status for check in checks)
        words = ", ".join(f"{counts[status]} {status}" for status in reversed(RANK) if counts[status])
        yield Finding("Checks", words, STATES[worst(checks)])
    counted = Counter(comparison.verdict for comparison in comparisons)
    for verdict, state in (("worse", "bad"), ("better", "good"), ("same", None), ("unresolved", None)):
        if found := [c for c in comparisons if c.verdict == verdict]:
            metrics = ", ".join(dict.fromkeys(str(c.metric) for c in found))
            yield Finding(f"{verdict.capitalize()}: {counted[found[0].verdict]}", metrics, state)


def _comparisons(comparisons: Sequence[Comparison]) -> Iterator[Section]:
    metrics = list(dict.fromkeys(comparison.metric for comparison in comparisons))
    groups = [[c for c in comparisons if c.metric == metric] for metric in metrics]
    if forests := [_forest(group) for group in groups if any(c.ratio for c in group)]:
        yield Section("B over A", (*forests, Definitions(TERMS)))
    for group in groups:
        reasons = tuple(f"{' '.join(c.place)}: {c.reason}" for c in group if c.reason)
        yield Section(str(group[0].metric), (_table(group), *([Notes(reasons)] if reasons else [])))


def _forest(group: Sequence[Comparison]) -> Forest:
    rows = tuple(
        Estimate(" ".join(c.place), c.ratio.value, c.ratio.low, c.ratio.high, c.verdict) for c in group if c.ratio
    )
    caption = f"B / A with its interval; {group[0].metric.better} is better. The dashed line: no difference."
    return Forest(str(group[0].metric), caption, "B / A", 1.0, rows)


def _table(group: Sequence[Comparison]) -> Table:
    headers = ("stage and target", "A", "B", "B / A", "from", "to", "margin", "verdict")
    return Table(headers, tuple(map(_row, group)))


def _row(c: Comparison) -> tuple[str, ...]:
    value, low, high = (c.ratio.value, c.ratio.low, c.ratio.high) if c.ratio else (None, None, None)
    ratio = (number(value, 3), number(low, 3), number(high, 3))
    return (" ".join(c.place), number(c.a), number(c.b), *ratio, f"{c.margin:.1%}", c.verdict)


def _changes(changes: Sequence[Change]) -> Iterator[Section]:
    if not changes:
        return
    rows = (
        (f"{c.metric}: {' '.join(c.place)}", c.words, "value" if isinstance(c.metric, Stated) else "shares",
         f"{c.margin:.1%}", c.verdict)
        for c in changes
    )  # fmt: skip
    headers = ("metric and of what", "A -> B", "by", "margin", "verdict")
    yield Section("By value and by shares", (Table(headers, tuple(rows)), Definitions(OF_CHANGES)))


def _checks(checks: Sequence[Check]) -> Iterator[Section]:
    if checks:
        rows = ((" ".join(check.place), check.rule, check.words, check.status) for check in checks)
        yield Section("Checks", (Table(("stage and target", "rule", "found", "status"), tuple(rows)),))


def _sides(a: Side, b: Side) -> Section:
    lines = []
    for name, side in (("A", a), ("B", b)):
        for run in side.runs:
            commit, when = run.result.environment.service_git or "unknown", run.result.created.wall
            rounds = max((len(stage.rounds) for stage in run.result.stages), default=0)
            price = f", {run.result.cost.price.sku} at {run.result.cost.price.words}" if run.result.cost else ""
            known = f"run {run.result.id[:12]}, {when}, {rounds} rounds, commit {commit}"
            lines.append(f"{name}: {run.folder}, {known}{price}")
    return Section("What was compared", (Notes(tuple(lines)),))
