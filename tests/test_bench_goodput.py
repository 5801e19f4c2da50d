"""The goodput search on queues of known capacity, and what counts as good."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import BenchError
from bench.load.arrivals import arrivals
from bench.load.findings import Attainment, GoodputFound
from bench.load.goodput import GoodputSearch, attainment
from bench.record import CUT_OFF, INTERRUPTED, RequestRecord
from bench.scenario import make_scenario
from bench.series import Search
from bench.slo import PRESETS, Slo
from tests.bench_queue import served

MS = 1_000_000


def search(**parts: Any) -> Search:
    wanted = {"search": "goodput", "lo": 0.25, "hi": 64} | parts.pop("rate", {})
    content = {"name": "g", "kind": "poisson", "prompts": {"isl": 16, "osl": 2}, "requests": 400, "rate": wanted}
    return Search.model_validate(content | parts)


def found(wanted: Search, slo: Slo, *, places: int, service: float) -> GoodputFound:
    going = GoodputSearch(wanted)
    while rate := going.next_rate():
        stage = wanted.probe(rate)
        sample = served(stage, arrivals(stage, "7"), places=places, service=service)
        going.tell(rate, attainment(sample.records, slo))
    return going.found("queue", 0)


@pytest.mark.parametrize(("places", "service"), [(1, 0.1), (4, 0.5), (8, 0.25)])
def test_the_search_finds_the_capacity_of_a_queue(places: int, service: float) -> None:
    """A queue whose waits may be long compared with its service serves up to nearly places / service a second."""
    capacity = places / service
    result = found(search(), Slo(e2e_ms=10 * service * 1e3), places=places, service=service)
    assert result.limited_by == "slo"
    assert result.rate is not None
    assert 0.7 * capacity < result.rate < 1.15 * capacity


def test_a_stricter_slo_lowers_the_goodput() -> None:
    rates = [found(search(), Slo(e2e_ms=limit), places=4, service=0.5).rate for limit in (505, 700, 1000, 3000)]
    known = [rate for rate in rates if rate is not None]
    assert len(known) == 4
    assert known == sorted(known)
    assert known[0] < 0.6 * known[-1]


def test_the_answer_is_proven_and_the_next_higher_rate_tried_was_not() -> None:
    result = found(search(rate={"resolution": 0.05}), Slo(e2e_ms=2000), places=4, service=0.5)
    verdicts = {probe.rate: probe.verdict for probe in result.probes}
    assert result.rate is not None
    higher = min(rate for rate in verdicts if rate > result.rate)
    assert verdicts[result.rate] == "attained"
    assert verdicts[higher] != "attained"
    assert higher / result.rate <= 1.05
    assert all(probe.goodput.low >= 0.95 for probe in result.probes if probe.verdict == "attained")
    assert all(probe.goodput.high < 0.95 for probe in result.probes if probe.verdict == "missed")
    assert len(result.probes) <= search(rate={"resolution": 0.05}).rate.max_probes


def test_no_probe_asks_for_more_than_twice_what_was_attained() -> None:
    rates = [probe.rate for probe in found(search(), Slo(e2e_ms=2000), places=4, service=0.5).probes]
    assert rates[0] == 0.25
    assert all(rate <= 2 * max(rates[:number]) for number, rate in enumerate(rates) if number)


def test_a_search_says_when_its_ends_were_too_low_or_too_high() -> None:
    low = found(search(rate={"hi": 1}), Slo(e2e_ms=2000), places=4, service=0.5)
    high = found(search(), Slo(e2e_ms=499), places=4, service=0.5)
    assert (low.rate, low.limited_by) == (1, "hi")
    assert (high.rate, high.limited_by, len(high.probes)) == (None, "lo", 1)


def test_a_stopped_search_keeps_what_it_has() -> None:
    going = GoodputSearch(search())
    going.tell(0.25, Attainment(good=400, n=400, low=0.99, high=1.0))
    result = going.found("queue", 0)
    assert (result.rate, result.limited_by) == (0.25, "stopped")


def test_too_few_requests_to_prove_anything_are_refused_beforehand() -> None:
    content: dict[str, Any] = {"schema": "bench.scenario/1", "name": "s", "model": "m"}
    content["targets"] = [{"name": "t", "kind": "url", "url": "http://127.0.0.1:1/v1"}]
    entry = {"name": "g", "kind": "poisson", "prompts": {"isl": 16, "osl": 2}}
    rate = {"search": "goodput", "lo": 0.1, "hi": 8}
    content["load"] = [entry | {"rate": rate, "duration": "300s"}]
    with pytest.raises(BenchError, match=r"load\.0: .*30 requests at 0\.1/s.* cannot prove a share of 0\.95"):
        make_scenario(content, origin="s.yaml")
    content["load"] = [entry | {"rate": rate | {"attain": 0.85}, "duration": "300s"}]
    with pytest.raises(BenchError, match="'g' searches for goodput: say under `slo`"):
        make_scenario(content, origin="s.yaml")
    assert make_scenario(content | {"slo": {"ttft_ms": 500}}, origin="s.yaml").stages == []


def answered(**changes: Any) -> RequestRecord:
    """TTFT 100 ms, ITL 10 ms, e2e 205 ms."""
    record = RequestRecord(target="t", stage="s", round=0, index=0, isl_req=20, osl_req=11, t_sched=0, t_send=0)
    record.t_first_tok, record.t_last_tok, record.t_end, record.osl = 100 * MS, 200 * MS, 205 * MS, 11
    for name, value in changes.items():
        setattr(record, name, value)
    return record


@pytest.mark.parametrize(
    ("slo", "is_met"),
    [
        (Slo(ttft_ms=100), True),
        (Slo(ttft_ms=99), False),
        (Slo(itl_ms=10), True),
        (Slo(itl_ms=9.9), False),
        (Slo(e2e_ms=205), True),
        (Slo(ttft_ms=100, itl_ms=10, e2e_ms=204), False),
        (Slo(preset="mlperf-8b-interactive"), True),
        (Slo(preset="mlperf-8b-interactive", ttft_ms=50), False),
    ],
)
def test_a_request_is_good_if_it_meets_every_limit(slo: Slo, is_met: bool) -> None:
    assert slo.is_met_by(answered()) is is_met


def test_lateness_of_the_client_counts_against_the_limit() -> None:
    assert not Slo(ttft_ms=120).is_met_by(answered(t_sched=-30 * MS))


@pytest.mark.parametrize("changes", [{"err": "HTTP 429"}, {"err": CUT_OFF}, {"osl": 1}, {"t_first_tok": None}])
def test_what_failed_or_cannot_be_measured_is_a_miss(changes: dict[str, Any]) -> None:
    found = attainment([answered(), answered(**changes)], Slo(itl_ms=1000))
    assert (found.good, found.n) == (1, 2)


def test_requests_that_the_users_own_stop_cut_off_are_not_judged() -> None:
    assert attainment([answered(), answered(err=INTERRUPTED)], Slo(itl_ms=1000)).n == 1


def test_every_preset_limits_ttft_and_itl() -> None:
    assert all(limits.keys() == {"ttft_ms", "itl_ms"} for limits in PRESETS.values())
