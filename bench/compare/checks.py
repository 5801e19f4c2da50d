"""A gate's rules, held against two sides: each place that a rule is about is one check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

from bench.compare.changes import Change, by_shares, by_value
from bench.compare.families import FAMILIES, Counted, Measure, Stated
from bench.compare.gate import Gate, Rule
from bench.compare.intervals import of_value, spread
from bench.compare.judge import THRESHOLD, Comparison, compare, unusable
from bench.compare.metrics import Metric
from bench.compare.places import WHOLE, Place
from bench.compare.side import Side
from bench.errors import BenchError
from bench.stats import wilson

Status: TypeAlias = Literal["pass", "warn", "fail"]
RANK: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Check:
    """`comparison` is there where the rule is about a change."""

    rule: str
    place: Place
    status: Status
    words: str
    comparison: Comparison | Change | None = None


def missing(a: Side, b: Side, status: Status) -> list[Check]:
    """What A measured and B did not, and what is invalid on either side."""
    return [*_missing_stages(a, b, status), *_missing_families(a, b, status)]


def _missing_stages(a: Side, b: Side, status: Status) -> Iterator[Check]:
    for place in dict.fromkeys([*a.places, *b.places]):
        sides = (("A", a), ("B", b)) if place in a.places else (("B", b),)
        doubts = [f"{name}: {'; '.join(found)}" for name, side in sides if (found := side.doubts(place))]
        if doubts:
            yield Check("measured, and not invalid", place, status, "; ".join(doubts))


def _missing_families(a: Side, b: Side, status: Status) -> Iterator[Check]:
    """Of stages that are in both. Other tools tell less than ours, and nothing is wrong with that."""
    if any(run.is_imported for run in b.runs):
        return
    gone = set(a.places) - set(b.places)
    for family in FAMILIES.values():
        known = b.places_of(family)
        if lost := [place for place in a.places_of(family) if place not in known and place not in gone]:
            words = f"B: has none of {', '.join(' '.join(place) for place in lost)}"
            yield Check("measured", (family.name,), status, words)


def held_against(a: Side, b: Side, gate: Gate) -> list[Check]:
    """What is missing, then every rule. Raises BenchError for one about a stage or target that neither side has."""
    checks = missing(a, b, gate.on_missing)
    for rule in gate.rules:
        checks += _held(rule, a, b, gate)
    return checks


def _held(rule: Rule, a: Side, b: Side, gate: Gate) -> Iterator[Check]:
    """What only A has is missing already. What A has not cannot be compared, what nobody has cannot be held."""
    of_a, of_b = (_meant(rule, side.places_of(rule.measured), a, b) for side in (a, b))
    if not of_a and not (rule.is_absolute and of_b):
        words = f"A has no {rule.metric}" if of_b else f"neither side has any {rule.metric}"
        yield Check(str(rule), WHOLE, gate.on_missing, words)
    for place in of_b:
        if rule.is_absolute and _believed(place, rule.measured, b):
            yield _absolute(rule, b, place, gate)
        elif not rule.is_absolute and place in of_a and _believed(place, rule.measured, a, b):
            yield _relative(rule, a, b, place, gate)


def _meant(rule: Rule, places: Sequence[Place], a: Side, b: Side) -> list[Place]:
    known = {*a.places_of(rule.measured), *b.places_of(rule.measured)}
    for wanted, part, kind in ((rule.stages, 0, "stage"), (rule.targets, 1, "target")):
        there = {word for place in known for word in place[part : part + 1]}
        if unknown := set(wanted or ()) - there:
            has = f"they have {', '.join(sorted(there)) or 'none'}"
            raise BenchError(f"rule {rule}: no {kind} {', '.join(sorted(unknown))} in these results; {has}")
    return [place for place in places if _is_meant(rule.stages, place, 0) and _is_meant(rule.targets, place, 1)]


def _is_meant(wanted: Sequence[str] | None, place: Place, part: int) -> bool:
    return wanted is None or bool(set(place[part : part + 1]) & set(wanted))


def comparable_places(a: Side, b: Side, measure: Measure) -> list[Place]:
    """Where both have it, and of stages, where it may be believed."""
    known = b.places_of(measure)
    return [place for place in a.places_of(measure) if place in known and _believed(place, measure, a, b)]


def _believed(place: Place, measure: Measure, *sides: Side) -> bool:
    return not isinstance(measure, Metric) or not any(side.doubts(place) for side in sides)


def judged(a: Side, b: Side, place: Place, measure: Measure, threshold: float | None = None) -> Comparison | Change:
    """`threshold`: the change that does not matter; None for the usual one."""
    match measure:
        case Stated():
            return by_value(a, b, place, measure, threshold)
        case Counted():
            return by_shares(a, b, place, measure, threshold)
        case _:
            return compare(a, b, place, measure, THRESHOLD if threshold is None else threshold)


def _relative(rule: Rule, a: Side, b: Side, place: Place, gate: Gate) -> Check:
    """Fails only if the whole interval lies beyond the margin; passes where none of it lies beyond the bad edge."""
    found = judged(a, b, place, rule.measured, rule.max_regression)
    if isinstance(found, Comparison):
        few = min(found.rounds) < gate.require.min_rounds
        if found.ratio is None or few:
            words = found.reason or f"{min(found.rounds)} rounds, {gate.require.min_rounds} required"
            return Check(str(rule), place, gate.on_unresolved, words, found)
    if found.verdict == "worse":
        return Check(str(rule), place, "fail", found.words, found)
    if found.may_be_worse:
        words = f"{found.words}: {found.reason}" if isinstance(found, Comparison) else found.words
        return Check(str(rule), place, gate.on_unresolved, words, found)
    return Check(str(rule), place, "pass", found.words, found)


def _absolute(rule: Rule, b: Side, place: Place, gate: Gate) -> Check:
    """Passes if all of B's interval does, fails if none of it does."""
    if isinstance(rule.measured, Metric) and not b.samples(place, rule.measured):
        return Check(str(rule), place, gate.on_missing, f"B has no {rule.metric}")
    held = _interval(rule.measured, b, place)
    if isinstance(held, str):
        return Check(str(rule), place, gate.on_unresolved, held)
    low, high, words = held
    least, most = (-math.inf if rule.min is None else rule.min), (math.inf if rule.max is None else rule.max)
    if high < least or low > most:
        return Check(str(rule), place, "fail", words)
    if least <= low and high <= most:
        return Check(str(rule), place, "pass", words)
    return Check(str(rule), place, gate.on_unresolved, f"{words}: the bound lies within the interval")


def _interval(measure: Measure, b: Side, place: Place) -> tuple[float, float, str] | str:
    """From where to where B's value may lie, and in words; or why that cannot be told."""
    if isinstance(measure, Stated):
        value = median(b.values(place, measure))
        return value, value, f"{value:,.6g}"
    if isinstance(measure, Counted):
        share = b.share(place, measure)
        assert share is not None, "this is one of its places"
        low, high = wilson(*share)
        return low, high, f"{share} ({low:.1%} to {high:.1%})"
    samples = b.samples(place, measure)
    if why := unusable(samples, measure):
        return f"B {why}"
    found = of_value(spread(samples, measure.percentile, by_run=len(samples) > 1))
    if found.low is None or found.high is None:
        return f"{found}: measured once, which tells no interval"
    return found.low, found.high, str(found)
