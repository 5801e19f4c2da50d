"""Goodput: the highest rate at which enough requests are good.

Rates are doubled from `lo` until one is not attained, then the gap is halved on a logarithmic scale until it is as
narrow as the resolution. So no probe but the first asks for more than twice what was attained, and none drowns the
server. Every probe has the same arrivals, stretched by its rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Literal

from bench.load.findings import Attainment, GoodputFound, Probe
from bench.record import RequestRecord
from bench.series import Search
from bench.slo import Slo, judged
from bench.stats import wilson


def attainment(records: Sequence[RequestRecord], slo: Slo) -> Attainment:
    counted = judged(records)
    good = sum(slo.is_met_by(record) for record in counted)
    low, high = wilson(good, len(counted))
    return Attainment(good=good, n=len(counted), low=low, high=high)


class GoodputSearch:
    """Ask `next_rate`, measure at that rate, `tell` what was found, until there is no next rate."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._wanted = search.rate
        self._probes: list[Probe] = []

    def next_rate(self) -> float | None:
        wanted, attained, failed = self._wanted, self._attained, self._failed
        if attained is None:
            return wanted.lo if failed is None else None
        if failed is None:
            return min(2 * attained, wanted.hi) if attained < wanted.hi else None
        return sqrt(attained * failed) if failed / attained > 1 + wanted.resolution else None

    def tell(self, rate: float, goodput: Attainment) -> None:
        stage, verdict = self._search.probe(rate).name, _verdict(goodput, self._wanted.attain)
        self._probes.append(Probe(stage=stage, rate=rate, goodput=goodput, verdict=verdict))

    def found(self, target: str, number: int) -> GoodputFound:
        """As far as the search has come, in round `number`."""
        return GoodputFound(
            load=self._search.name,
            target=target,
            round=number,
            attain=self._wanted.attain,
            rate=self._attained,
            limited_by=self._limit(),
            probes=self._probes,
        )

    @property
    def _attained(self) -> float | None:
        return max((probe.rate for probe in self._probes if probe.verdict == "attained"), default=None)

    @property
    def _failed(self) -> float | None:
        return min((probe.rate for probe in self._probes if probe.verdict != "attained"), default=None)

    def _limit(self) -> Literal["slo", "hi", "lo", "stopped"]:
        if self.next_rate() is not None:
            return "stopped"
        if self._attained is None:
            return "lo"
        return "hi" if self._failed is None else "slo"


def _verdict(goodput: Attainment, attain: float) -> Literal["attained", "missed", "unproven"]:
    if goodput.low >= attain:
        return "attained"
    return "missed" if goodput.high < attain else "unproven"
