"""A gate's rules, held against two sides: each stage and target that a rule is about is one check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bench.compare.gate import Gate, Rule
from bench.compare.intervals import of_value, spread
from bench.compare.judge import Comparison, compare, unusable
from bench.compare.side import Place, Side
from bench.errors import BenchError

Status: TypeAlias = Literal["pass", "warn", "fail"]
RANK: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Check:
    """`comparison` is there where the rule is about a change."""

    rule: str
    place: Place
    status: Status
    words: str
    comparison: Comparison | None = None


def missing(a: Side, b: Side, status: Status) -> list[Check]:
    """What A measured and B did not, and what is invalid on either side."""
    checks = []
    for place in known_places(a, b):
        sides = (("A", a), ("B", b)) if place in a.places else (("B", b),)
        doubts = [f"{name}: {'; '.join(found)}" for name, side in sides if (found := side.doubts(place))]
        if doubts:
            checks.append(Check("measured, and not invalid", place, status, "; ".join(doubts)))
    return checks


def held_against(a: Side, b: Side, gate: Gate) -> list[Check]:
    """What is missing, then every rule. Raises BenchError for one about a stage or target that neither side has."""
    checks = missing(a, b, gate.on_missing)
    for rule in gate.rules:
        for place in _places(rule, a, b):
            checks.append(_absolute(rule, b, place, gate) if rule.is_absolute else _relative(rule, a, b, place, gate))
    return checks


def known_places(a: Side, b: Side) -> list[Place]:
    return list(dict.fromkeys([*a.places, *b.places]))


def comparable_places(a: Side, b: Side) -> list[Place]:
    return [place for place in a.places if place in b.places and not (a.doubts(place) or b.doubts(place))]


def _places(rule: Rule, a: Side, b: Side) -> list[Place]:
    for wanted, part, kind in ((rule.stages, 0, "stage"), (rule.targets, 1, "target")):
        if unknown := set(wanted or ()) - {place[part] for place in known_places(a, b)}:
            raise BenchError(f"rule {rule}: no {kind} {', '.join(sorted(unknown))} in these results")
    places = [place for place in b.places if not b.doubts(place)] if rule.is_absolute else comparable_places(a, b)
    return [
        (stage, target)
        for stage, target in places
        if stage in (rule.stages or (stage,)) and target in (rule.targets or (target,))
    ]


def _relative(rule: Rule, a: Side, b: Side, place: Place, gate: Gate) -> Check:
    """Fails only if the whole interval lies beyond the margin; passes where none of it lies beyond the bad edge."""
    found = compare(a, b, place, rule.measured, rule.max_regression or 0.0)
    few = min(found.rounds) < gate.require.min_rounds
    if found.ratio is None or few:
        words = found.reason or f"{min(found.rounds)} rounds, {gate.require.min_rounds} required"
        return Check(str(rule), place, gate.on_unresolved, words, found)
    words = str(found.ratio)
    if found.verdict == "worse":
        return Check(str(rule), place, "fail", words, found)
    if _may_be_worse(found):
        return Check(str(rule), place, gate.on_unresolved, f"{words}: {found.reason}", found)
    return Check(str(rule), place, "pass", words, found)


def _may_be_worse(found: Comparison) -> bool:
    ratio = found.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return True
    return ratio.low < 1 - found.margin if found.metric.better == "higher" else ratio.high > 1 + found.margin


def _absolute(rule: Rule, b: Side, place: Place, gate: Gate) -> Check:
    """Passes if all of B's interval does, fails if none of it does."""
    samples = b.samples(place, rule.measured)
    if why := unusable(samples, rule.measured):
        return Check(str(rule), place, gate.on_missing if not samples else gate.on_unresolved, f"B {why}")
    found = of_value(spread(samples, rule.measured.percentile, by_run=len(samples) > 1))
    if found.low is None or found.high is None:
        return Check(str(rule), place, gate.on_unresolved, f"{found}: measured once, which tells no interval")
    lowest, highest = (-math.inf if rule.min is None else rule.min), (math.inf if rule.max is None else rule.max)
    if found.high < lowest or found.low > highest:
        return Check(str(rule), place, "fail", str(found))
    if lowest <= found.low and found.high <= highest:
        return Check(str(rule), place, "pass", str(found))
    return Check(str(rule), place, gate.on_unresolved, f"{found}: the bound lies within the interval")
