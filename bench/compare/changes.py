"""What is not measured in rounds: compared by value, or as shares of so many."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import median

from bench.compare.families import Counted, Share, Stated
from bench.compare.judge import Verdict, noise_floor
from bench.compare.places import Place
from bench.compare.side import Side
from bench.stats import wilson


@dataclass(frozen=True)
class Change:
    """`words` tell the difference, `may_be_worse` whether it could lie beyond the margin on the bad side."""

    metric: Stated | Counted
    place: Place
    a: float | None
    b: float | None
    margin: float
    verdict: Verdict
    words: str = ""
    may_be_worse: bool = True

    @property
    def is_idle(self) -> bool:
        """Shares of none or all on both sides: there was nothing to be seen."""
        return isinstance(self.metric, Counted) and self.a == self.b and self.a in (0, 1)

    @property
    def reason(self) -> str:
        """Why nothing can be said."""
        return self.words if self.verdict == "unresolved" else ""


def by_value(a: Side, b: Side, place: Place, family: Stated, threshold: float | None = None) -> Change:
    """The medians of the runs. They are the same where they differ by no more than the threshold (the family's own
    tolerance if None) or, of several runs, by what they differ by among themselves."""
    values = a.values(place, family), b.values(place, family)
    margin = family.tolerance if threshold is None else threshold
    if not all(values):
        known, why = [_median(side) for side in values], _missing(*map(bool, values))
        return Change(family, place, known[0], known[1], margin, "unresolved", why)
    was, found = map(median, values)
    rounds_a, rounds_b = ([[[value] for value in side]] for side in values)
    margin = max(margin, noise_floor((rounds_a, rounds_b), 50) or 0.0)
    is_more, is_same = found > was, abs(found - was) <= margin * abs(was)
    verdict: Verdict = "same" if is_same else "better" if is_more == (family.better == "higher") else "worse"
    relative = f" ({found / was - 1:+.1%})" if was else ""
    return Change(family, place, was, found, margin, verdict, f"{was:,.6g} -> {found:,.6g}{relative}", False)


def by_shares(a: Side, b: Side, place: Place, family: Counted, threshold: float | None = None) -> Change:
    """All runs together. Better or worse where the interval of the difference lies wholly beyond the threshold, a
    difference of shares; the same where it lies wholly within."""
    margin = family.tolerance if threshold is None else threshold
    was, found = a.share(place, family), b.share(place, family)
    values = _value(was), _value(found)
    if was is None or found is None:
        return Change(family, place, *values, margin, "unresolved", _missing(was is not None, found is not None))
    low, high = difference(was, found)
    words = f"{was} -> {found} ({100 * low:+.1f} to {100 * high:+.1f} points)"
    if family.better == "lower":
        low, high = -high, -low
    verdict: Verdict = "unresolved"
    if low > margin or high < -margin:
        verdict = "better" if low > 0 else "worse"
    elif -margin <= low and high <= margin:
        verdict = "same"
    return Change(family, place, *values, margin, verdict, words, may_be_worse=low < -margin)


def difference(a: Share, b: Share) -> tuple[float, float]:
    """The 95 % interval of b's share less a's, from the Wilson intervals of both (Newcombe, Statistics in Medicine
    17(8), 1998, method 10)."""
    (low_a, high_a), (low_b, high_b) = wilson(*a), wilson(*b)
    p_a, p_b = a.part / a.whole, b.part / b.whole
    return (
        p_b - p_a - sqrt((p_b - low_b) ** 2 + (high_a - p_a) ** 2),
        p_b - p_a + sqrt((high_b - p_b) ** 2 + (p_a - low_a) ** 2),
    )


def _value(share: Share | None) -> float | None:
    return share.part / share.whole if share else None


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


def _missing(a_has: bool, b_has: bool) -> str:
    return "; ".join(f"{name} has none" for name, has in (("A", a_has), ("B", b_has)) if not has)
