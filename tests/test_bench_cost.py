"""The cost of a request: the formula against playing it out, the edges by hand, prices that are not there."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import cli
from bench.cost.make import make_cost
from bench.cost.prices import PRICES, Price, PriceFile, read_price
from bench.cost.request_use import from_rates, from_result
from bench.cost.result import CostPart
from bench.cost.worker import Worker, expected, falls_to, simulated, timeout_for
from bench.errors import BenchError
from bench.report.blocks import Notes, Table, Text, Verdict
from bench.report.contents import report_of
from bench.report.cost import findings
from bench.report.figures import LinePlot
from bench.result import Rates, Result, Sums
from bench.session import INCOMPLETE, Session
from tests.test_bench_report import result as a_run

WORKER = Worker(busy_s=2.0, cold_s=20.0, idle_timeout_s=5.0)


@pytest.mark.parametrize("bills_idle", [True, False])
@pytest.mark.parametrize("timeout", [0.0, 5.0, 120.0])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3])
def test_the_formula_and_playing_it_out_agree(rate: float, timeout: float, bills_idle: bool) -> None:
    worker = dataclasses.replace(WORKER, idle_timeout_s=timeout, bills_idle=bills_idle)
    by_formula, played = expected(worker, rate), simulated(worker, rate, requests=60_000, seed=3)
    assert played.billed_s == pytest.approx(by_formula.billed_s, rel=0.02)
    assert played.cold == pytest.approx(by_formula.cold, rel=0.05, abs=0.001)


def test_a_rare_request_pays_for_start_work_and_idle_time() -> None:
    share = expected(WORKER, 1e-9)
    assert share.billed_s == pytest.approx(2 + 20 + 5)
    assert share.cold == pytest.approx(1)


def test_a_worker_that_never_stops_is_billed_all_the_time() -> None:
    share = expected(dataclasses.replace(WORKER, idle_timeout_s=1e9), 0.1)
    assert share.billed_s == pytest.approx(10)
    assert share.cold == 0


def test_for_rare_requests_nobody_waits_and_the_plain_sum_holds() -> None:
    """S + (1 - p) / l + C p."""
    worker, rate = Worker(busy_s=0.01, cold_s=0.1, idle_timeout_s=300.0), 0.002
    stopped = 2.718281828459045 ** (-rate * 300)
    assert expected(worker, rate).billed_s == pytest.approx(0.01 + (1 - stopped) / rate + 0.1 * stopped, rel=0.001)


def test_a_shorter_timeout_is_never_dearer() -> None:
    for rate in (0.0001, 0.01, 0.05, 0.2, 0.45):
        billed = [expected(dataclasses.replace(WORKER, idle_timeout_s=t), rate).billed_s for t in (0, 1, 5, 60, 600)]
        assert billed == sorted(billed)


def test_where_idle_time_is_free_a_longer_timeout_is_never_dearer() -> None:
    worker = dataclasses.replace(WORKER, bills_idle=False)
    for rate in (0.0001, 0.01, 0.2, 0.45):
        billed = [expected(dataclasses.replace(worker, idle_timeout_s=t), rate).billed_s for t in (0, 5, 60, 600)]
        assert billed == sorted(billed, reverse=True)


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_more_than_a_worker_takes_has_no_cost(rate: float) -> None:
    with pytest.raises(BenchError, match="one worker takes"):
        expected(WORKER, rate)


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.2])
def test_the_advised_timeout_is_the_shortest_that_does(rate: float) -> None:
    timeout = timeout_for(WORKER, rate, 0.05)
    share = expected(dataclasses.replace(WORKER, idle_timeout_s=timeout), rate).cold
    assert share == pytest.approx(0.05) if timeout else share <= 0.05


def test_a_break_even_is_where_the_costs_meet() -> None:
    assert falls_to(lambda rate: 1 / rate, 4.0, 10.0) == pytest.approx(0.25)
    assert falls_to(lambda rate: 1 / rate, 0.05, 10.0) is None
    assert falls_to(lambda rate: 1.0, 2.0, 10.0) == 0.0


def price(**values: Any) -> Price:
    known = {"sku": "s", "platform": "p", "usd_per_second": 0.001, "bills_idle": True, "idle_timeout_s": 5}
    return Price(**known | {"noted": "2026-01-01", "verified": True, "source": "here"} | values)


def cost(**values: Any) -> CostPart:
    use = from_rates(1000, 100, prefill_tok_s=1000, tok_s=100)
    return make_cost(use, values.pop("price", price()), **{"cold_s": 20.0, "idle_timeout_s": 5.0} | values)


def test_input_and_output_share_the_cost_by_their_time() -> None:
    point = cost().curves[0].points[-1]
    assert point.usd_per_m_in == pytest.approx(point.usd_per_m_out * 100 / 2 / 1000)
    assert point.usd_per_m_written == pytest.approx(point.usd_per_m_out / 2)


def test_a_full_worker_costs_its_time_and_every_request_its_fee() -> None:
    """At 95 % one hardly ever waits for a start: 2 s of work and 5 % of the time between two requests at most."""
    point = cost(price=price(usd_per_request=0.5)).curves[-1].points[-1]
    assert 2 * 0.001 + 0.5 < point.usd_per_m_out * 100 / 1e6 < 2 / 0.95 * 0.001 + 0.5 + 1e-9


def test_break_evens_are_where_both_sides_cost_the_same() -> None:
    found = cost(price=price(active_usd_per_second=0.0004), api_usd_per_m=(3.0, 40.0))
    assert found.break_even_api_per_hour
    assert found.break_even_active_per_hour
    worker = Worker(2.0, 20.0, 5.0)
    api, active = found.break_even_api_per_hour / 3600, found.break_even_active_per_hour / 3600
    assert expected(worker, api).billed_s * 0.001 == pytest.approx((1000 * 3 + 100 * 40) / 1e6)
    assert expected(worker, active).billed_s * 0.001 * active == pytest.approx(0.0004)
    assert cost().break_even_api_per_hour is None


def test_idle_time_that_is_not_billed_costs_nothing() -> None:
    free = cost(price=price(bills_idle=False), idle_timeout_s=900.0)
    assert [curve.idle_timeout_s for curve in free.curves] == [900.0]
    often = free.curves[0].points[-8]
    assert often.usd_per_m_out == pytest.approx(2 * 0.001 / 100 * 1e6, rel=0.01)


def measured(**values: Any) -> Result:
    """A stage of 10 requests of 1000 tokens in and 100 out each, at 200 out tok/s all together."""
    result = a_run()
    known = {
        "n_ok": 10,
        "sum": Sums(prompt=10_000, cached=0, completion=1000),
        "rates": Rates(out_tok_s=200.0, decode_tok_s=50.0, prefill_tok_s=1000.0, ttft_p50_ms=1000.0),
        "validity": [],
    }
    return result.model_copy(update={"stages": [result.stages[0].model_copy(update=known | values)]})


def test_a_result_gives_the_time_of_a_request_under_load() -> None:
    use = from_result(measured())
    assert (use.tokens_in, use.tokens_out, use.busy_s) == (1000, 100, 0.5)
    assert use.prefill_share == pytest.approx(1 / (1 + 2))


@pytest.mark.parametrize(
    "values", [{"n_ok": 0}, {"validity": [INCOMPLETE]}, {"sum": Sums(prompt=None, cached=None, completion=None)}]
)
def test_a_stage_that_tells_no_time_is_no_basis(values: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="no valid stage"):
        from_result(measured(**values))


def test_every_price_in_the_file_has_the_address_of_its_source() -> None:
    found = PriceFile.model_validate(yaml.safe_load(PRICES.read_text()))
    assert len({each.sku for each in found.prices}) == len(found.prices)
    assert all(each.source.startswith("https://") for each in found.prices)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema: bench.prices/2\nprices: []\n", "schema"),
        ("schema: bench.prices/1\nprices: [{sku: a}]\n", r"prices\.0\.platform"),
        ("schema: bench.prices/1\nprices: []\n", "no price 'x'; it has none"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_price_file_that_is_none_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(BenchError, match=rf"p\.yaml.*{words}"):
        read_price(path, "x")


def test_the_report_says_what_it_rests_on() -> None:
    part = cost(api_usd_per_m=(3.0, 40.0), per_hour=60.0, price=price(verified=False))
    result = Session("cost", "cost").result(complete=True, cost=part)
    found = {finding.label: finding.words for finding in findings(result)}
    assert "requests per hour on" in found["Cheaper than the API"]
    assert "60 requests per hour" in found["Idle timeout"]


@pytest.mark.parametrize(
    ("verified", "words"),
    [(False, "price NOT VERIFIED, noted 2026-01-01 from here"), (True, "price verified, noted 2026-01-01 from here")],
)
def test_whatever_shows_dollars_says_how_sure_the_price_is(verified: bool, words: str) -> None:
    part = cost(api_usd_per_m=(3.0, 40.0), per_hour=60.0, price=price(verified=verified))
    report = report_of(Session("cost", "cost").result(complete=True, cost=part))
    shown = [block for block in report.opening if isinstance(block, Verdict)]
    (section,) = [section for section in report.sections if section.title == "Cost of a million tokens"]
    for finding in shown[0].findings:
        assert "$" not in finding.words or words in finding.words
    for before, block in itertools.pairwise(section.blocks):
        match block:
            case Table():
                assert isinstance(before, Text)
                assert words in before.words
            case LinePlot():
                assert words in block.caption
            case Notes():
                assert all("$" not in line or words in line for line in block.lines)


def command(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(["cost", *words])


RATES = "--tokens-in 1000 --tokens-out 100 --prefill-tok-s 2000 --tok-s 50"


def test_the_command_writes_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--sku runpod-flex-4090 --cold-start 30 --per-hour 20 --out"
    assert cli.run_command(command(*RATES.split(), *asked.split(), str(tmp_path / "out"))) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["cost"]["advice"]["per_hour"] == pytest.approx(20)
    assert last["cost"]["price"]["verified"] is False
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("--tok-s 3 --cold-start 1", "give a RESULT, or all of"),
        ("somewhere --tok-s 3 --cold-start 1", "not both"),
        (f"{RATES} --cold-start -1", "seconds, 0 or more"),
        (f"{RATES} --cold-start 1 --cold-share 100", "between 0 and 100"),
        (f"{RATES} --cold-start 1 --per-hour 0", "--per-hour must be"),
        (f"{RATES} --cold-start 1 --per-hour 99999", "one worker takes"),
        (f"{RATES.replace('50', '0')} --cold-start 1", "more than 0"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(tmp_path: Path, words: str, fault: str) -> None:
    with pytest.raises(BenchError, match=fault):
        cli.run_command(command(*words.split(), "--sku", "runpod-flex-4090", "--out", str(tmp_path / "out")))
