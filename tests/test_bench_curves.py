"""Windows, saturation, knees and curves, on queues and curves that are known exactly."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.load.arrivals import arrivals
from bench.load.curves import curves
from bench.load.knee import knee
from bench.load.saturation import saturation
from bench.load.window import Window, steady_window, whole_window
from bench.report.blocks import Notes
from bench.report.contents import report_of
from bench.report.figures import LinePlot
from bench.report.markdown import markdown
from bench.result import ScenarioText
from bench.sample import Sample
from bench.scenario import Scenario, make_scenario
from bench.series import stages_of
from bench.session import Session
from bench.stages import Closed, Open, Poisson, Prompts
from bench.summary import summarise
from tests.bench_queue import SECOND, in_closed_loop, served

PROMPTS = Prompts(isl=16, osl=2)


def poisson(rate: float, requests: int) -> Poisson:
    return Poisson(name="p", kind="poisson", prompts=PROMPTS, rate=rate, requests=requests)


def queued(rate: float, requests: int = 400, *, seed: str = "7") -> Sample:
    """Four places of a second each: a capacity of four a second."""
    stage = poisson(rate, requests)
    return served(stage, arrivals(stage, seed), places=4, service=1.0)


def scenario(**load: Any) -> Scenario:
    content = {
        "schema": "bench.scenario/1",
        "name": "known",
        "model": "m",
        "targets": [{"name": "queue", "kind": "url", "url": "http://127.0.0.1:1/v1"}],
        "load": [{"name": "l", "prompts": {"isl": 16, "osl": 2}} | load],
        "slo": {"ttft_ms": 2000, "e2e_ms": 3000},
        "measure": {"rounds": 1},
    }
    return make_scenario(content, origin="known")


def measured(wanted: Scenario) -> list[Sample]:
    samples = []
    for stage in stages_of(wanted.load):
        if isinstance(stage, Closed):
            samples.append(in_closed_loop(stage, places=4, service=1.0))
        else:
            samples.append(served(stage, arrivals(stage, "7"), places=4, service=1.0))
    return samples


def test_the_steady_window_of_a_closed_loop_leaves_out_start_and_drain() -> None:
    """Three clients, nine requests of a second each, three at a time: the second three seconds are steady."""
    stage = Closed(name="c", concurrency=3, requests=12, prompts=PROMPTS)
    records = in_closed_loop(stage, places=4, service=1.0).records
    assert steady_window(records, stage) == Window(SECOND, 3 * SECOND)
    assert Window(SECOND, 3 * SECOND).completions(records) == 6
    assert Window(SECOND, 3 * SECOND).tokens(records) == 12


def test_tokens_count_in_the_window_in_which_they_came() -> None:
    stage = Closed(name="c", concurrency=1, requests=3, prompts=PROMPTS)
    records = in_closed_loop(stage, places=1, service=1.0).records
    assert Window(SECOND, 3 * SECOND // 2).tokens(records) == 1
    assert Window(0, 3 * SECOND).tokens(records) == 6


def test_a_stage_that_ends_before_it_is_steady_has_the_whole_as_its_window() -> None:
    stage = Closed(name="c", concurrency=4, requests=8, prompts=PROMPTS)
    records = in_closed_loop(stage, places=4, service=1.0).records
    assert steady_window(records, stage) is None
    whole = whole_window(records)
    assert whole is not None
    assert whole.completions(records) == 8
    assert whole.seconds == pytest.approx(2)


def test_a_slow_drain_lowers_no_rate() -> None:
    sample = queued(2, 200)
    (before,) = summarise([sample], scenario(kind="poisson", rate=2, requests=200))
    sample.records[-1].t_end = (sample.records[-1].t_end or 0) + 500 * SECOND
    (after,) = summarise([sample], scenario(kind="poisson", rate=2, requests=200))
    assert after.rates.achieved_req_s == pytest.approx(before.rates.achieved_req_s, rel=0.02)
    assert after.rounds[0].steady
    assert (after.rounds[0].wall_s or 0) > 500


def test_an_open_loop_below_capacity_gets_what_it_asks_for() -> None:
    (stage,) = summarise([queued(2)], scenario(kind="poisson", rate=2, requests=400))
    assert stage.rates.achieved_req_s == pytest.approx(stage.rates.requested_req_s, rel=0.02)
    assert stage.rates.requested_req_s == pytest.approx(2, rel=0.15)
    assert stage.saturated is None
    assert stage.goodput is not None
    assert stage.goodput.share == pytest.approx(1, abs=0.02)
    assert stage.rates.good_req_s == pytest.approx(stage.rates.achieved_req_s, rel=0.02)


def test_an_open_loop_above_capacity_is_saturated_and_its_latencies_are_doubted() -> None:
    (stage,) = summarise([queued(6)], scenario(kind="poisson", rate=6, requests=400))
    assert stage.rates.achieved_req_s == pytest.approx(4, rel=0.02)
    assert stage.saturated is not None
    assert "saturated" in [flag.code for flag in stage.validity]
    assert stage.goodput is not None
    assert stage.goodput.share is not None
    assert stage.goodput.share < 0.3


def is_saturated(rate: float, seed: str) -> bool:
    sample = queued(rate, seed=seed)
    window = steady_window(sample.records, sample.stage)
    return window is not None and saturation(sample.records, window) is not None


def test_saturation_is_found_above_capacity_and_not_below() -> None:
    seeds = [str(seed) for seed in range(40)]
    assert sum(is_saturated(0.5 * 4, seed) for seed in seeds) == 0
    assert sum(is_saturated(0.8 * 4, seed) for seed in seeds) <= 3
    assert sum(is_saturated(1.3 * 4, seed) for seed in seeds) == 40


def test_too_few_arrivals_are_no_verdict() -> None:
    sample = queued(8, 60)
    assert saturation(sample.records, Window(0, 60 * SECOND)) is None


def test_a_limit_of_requests_in_flight_that_was_reached_is_told() -> None:
    wanted = scenario(kind="poisson", rate=6, requests=100, max_in_flight=10)
    (stage,) = summarise(measured(wanted), wanted)
    assert "in_flight" in [flag.code for flag in stage.validity]


def test_the_knee_is_where_two_lines_meet() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert knee(x, [min(value, 5) * 10 for value in x]) == pytest.approx(5)
    assert knee(x, [min(value, 3.5) * 10 + 0.2 * value for value in x]) == pytest.approx(3.5, abs=0.05)
    assert knee(x[::-1], [min(value, 5) * 10 for value in x[::-1]]) == pytest.approx(5)


def test_a_curve_that_does_not_bend_has_no_knee() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert knee(x, [10 * value for value in x]) is None
    assert knee(x, [10.0] * 5) is None
    assert knee(x, [10.0, 10.2, 10.1, 10.3, 10.2]) is None
    assert knee(x, [value * value for value in x]) is None
    assert knee(x[:3], [1, 2, 2]) is None


def test_a_sweep_of_clients_bends_where_the_places_are_taken() -> None:
    wanted = scenario(kind="sweep", concurrency=[1, 2, 3, 4, 5, 6, 8], requests=80)
    samples = measured(wanted)
    (curve,) = curves(summarise(samples, wanted), samples, wanted)
    assert [point.x for point in curve.points] == [1, 2, 3, 4, 5, 6, 8]
    assert [point.out_tok_s for point in curve.points[:4]] == [pytest.approx(2 * n, rel=0.05) for n in (1, 2, 3, 4)]
    assert curve.knee == pytest.approx(4, abs=0.3)
    assert curve.saturation is None


def test_a_sweep_of_rates_saturates_above_capacity() -> None:
    wanted = scenario(kind="sweep", rate=[1, 2, 3, 5, 6, 8], requests=400)
    samples = measured(wanted)
    (curve,) = curves(summarise(samples, wanted), samples, wanted)
    assert curve.x == "req_s"
    assert curve.saturation == 5
    assert curve.knee == pytest.approx(4, abs=0.5)


def test_a_ramp_is_one_stage_and_a_point_for_each_step() -> None:
    wanted = scenario(**{"kind": "ramp", "from": 1, "to": 7, "steps": 4, "hold": 100})
    samples = measured(wanted)
    (stage,) = summarise(samples, wanted)
    (curve,) = curves([stage], samples, wanted)
    assert [point.x for point in curve.points] == [1, 3, 5, 7]
    assert sum(point.goodput.n for point in curve.points if point.goodput) == stage.n_sent
    assert [point.requested_req_s for point in curve.points] == [pytest.approx(x, rel=0.2) for x in (1, 3, 5, 7)]
    assert [point.achieved_req_s for point in curve.points[2:]] == [pytest.approx(4, rel=0.1)] * 2
    assert curve.saturation == 5


def test_the_report_has_a_table_and_four_figures_for_each_curve() -> None:
    wanted = scenario(kind="sweep", rate=[1, 2, 3, 6], requests=200)
    samples = measured(wanted)
    stages = summarise(samples, wanted)
    text = ScenarioText(hash=wanted.hash, text=wanted)
    result = Session("load", "known").result(
        complete=True, scenario=text, stages=stages, curves=list(curves(stages, samples, wanted))
    )
    (section,) = [section for section in report_of(result).sections if section.title == "l: over requests/s asked for"]
    figures = [block for block in section.blocks if isinstance(block, LinePlot)]
    assert [figure.title for figure in figures] == [
        "TTFT over requests/s asked for",
        "End to end over requests/s asked for",
        "Output tokens per second over requests/s asked for",
        "Throughput against latency",
    ]
    assert [limit.value for limit in figures[0].limits] == [2000]
    assert [(line.x, line.doubted) for line in figures[0].series] == 2 * [((1, 2, 3), False), ((3, 6), True)]
    assert all(figure.x_label and figure.y_label and figure.caption for figure in figures)
    (notes,) = [block for block in section.blocks if isinstance(block, Notes)]
    assert any("l-r6: suspect: queue: saturated" in line for line in notes.lines)
    assert not any(section.title.startswith("l-r") for section in report_of(result).sections)


def shown(wanted: Scenario) -> str:
    samples = measured(wanted)
    stages = summarise(samples, wanted)
    text = ScenarioText(hash=wanted.hash, text=wanted)
    found = list(curves(stages, samples, wanted))
    return markdown(
        report_of(Session("load", "known").result(complete=True, scenario=text, stages=stages, curves=found))
    )


def test_rates_that_count_start_and_drain_are_marked_where_they_stand() -> None:
    short, long = (shown(scenario(kind="poisson", rate=2, requests=requests)) for requests in (2, 100))
    assert len(re.findall(r"\| \d+\.\d+†", short)) == 3, "out tok/s, asked and given req/s"
    assert "† l, queue: 1 of 1 rounds had too few requests for a steady window" in short
    assert "†" not in long


def test_the_steps_of_a_sweep_that_were_not_steady_are_marked() -> None:
    text = shown(scenario(kind="sweep", concurrency=[1, 8], requests=8))
    assert re.search(r"\| 8 \| queue \| \d+\.\d+† \| \d+\.\d+† ", text)
    assert re.search(r"\| 1 \| queue \| \d+\.\d+ \| \d+\.\d+ ", text)
    assert "† l-c8, queue: 1 of 1 rounds" in text


def test_an_open_loop_of_its_own_is_shown_with_what_was_asked_and_given() -> None:
    wanted = scenario(kind="poisson", rate=2, requests=100)
    stages = summarise(measured(wanted), wanted)
    assert isinstance(stages[0].load, Open)
    text = ScenarioText(hash=wanted.hash, text=wanted)
    result = Session("load", "known").result(complete=True, scenario=text, stages=stages)
    titles = [section.title for section in report_of(result).sections]
    assert any(title.startswith("l: Poisson arrivals, 2 requests/s") for title in titles)
    assert "Open loops: asked for and given" in titles
