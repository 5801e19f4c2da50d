"""What a scenario will take: counted as a run asks it, timed by closed formulas, charged by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bench import cli
from bench.cost.prices import PRICES, read_price
from bench.deployment import Deployment
from bench.errors import BenchError
from bench.forecast.contents import report_of, summary
from bench.forecast.make import Forecast, make_forecast
from bench.forecast.money import TokenPrice, usd
from bench.forecast.rates import ASSUMED, Rates, flat, local_rates, parse_rates, rates_of
from bench.forecast.work import Batch, Work, works
from bench.load.findings import Attainment
from bench.load.goodput import GoodputSearch
from bench.plan.shapes import Shape, header_of
from bench.plan.synthetic import write_synthetic
from bench.report.blocks import Text
from bench.report.markdown import markdown
from bench.roofline.arithmetic import step_bytes
from bench.roofline.peaks import Peaks
from bench.scenario import Scenario
from bench.series import Search
from core.gguf import read_header
from core.limits import Decode, KvForm, MeasuredLimits, Prefill, limits_path, this_host
from core.packs.fingerprint import fingerprint
from tests.bench_runs import ANSWER, new_run
from tests.bench_stub import StubServer

PROMPTS = {"isl": 100, "osl": 50}
CLOSED = {"name": "closed", "concurrency": 2, "requests": 10, "prompts": PROMPTS}
OPEN = {"name": "open", "kind": "poisson", "rate": 20, "duration": "1s", "prompts": PROMPTS}
SEARCH = {"name": "good", "kind": "poisson", "rate": {"search": "goodput", "lo": 1, "hi": 8}, "prompts": PROMPTS}
PEAKS = Peaks(read_bytes_s=1e9, flops_s=1e10, threads=1)


def scenario(*load: dict[str, Any], **changes: Any) -> Scenario:
    content: dict[str, Any] = {
        "schema": "bench.scenario/1",
        "name": "asked",
        "model": "m",
        "targets": [{"name": "a", "kind": "url", "url": "http://127.0.0.1:1/v1"}],
        "load": load,
        "slo": {"ttft_ms": 1000},
        "measure": {"rounds": 2, "warmup": 1},
    }
    return Scenario.model_validate(content | changes)


def forecast(wanted: Scenario, rates: Rates = ASSUMED, **prices: Any) -> Forecast:
    return make_forecast(wanted, {target.name: rates for target in wanted.targets}, prices)


def test_as_many_requests_are_counted_as_a_run_sends(tmp_path: Path) -> None:
    async def measure() -> None:
        async with StubServer(ANSWER).running() as server:
            target = {"name": "a", "kind": "url", "url": server.url}
            mix = {"name": "mix", "concurrency": 3, "requests": 7} | {
                "prompts": {"kind": "shared-document", "cache": {"warm": 0.5}, "isl": 40, "osl": 2}
            }
            wanted = scenario(CLOSED, OPEN, mix, targets=[target])
            await new_run(wanted, tmp_path).measure()
            probes_of_token_counts = 3
            assert len(server.bodies) - probes_of_token_counts == forecast(wanted).requests

    asyncio.run(measure())


def test_tokens_are_those_asked_for_warm_ups_included() -> None:
    found = forecast(scenario(CLOSED))
    assert (found.requests, found.tokens_in, found.tokens_out) == (2 * 12, 2 * 12 * 100, 2 * (10 * 50 + 2 * 8))
    assert forecast(scenario(CLOSED, measure={"rounds": 1, "warmup": 0})).tokens_out == 500


def test_clients_take_as_long_as_prompts_and_steps_at_the_rates() -> None:
    (line,) = forecast(scenario(CLOSED, measure={"rounds": 3, "warmup": 0}), flat(1000, 25, "given")).lines
    assert line.arriving_s is None
    assert line.computing_s == pytest.approx(3 * (10 * 100 / 1000 + 10 * 50 / 25))


def test_a_closed_loop_with_a_duration_takes_no_longer() -> None:
    (line,) = forecast(scenario(CLOSED | {"duration": "5s"}, measure={"warmup": 0, "rounds": 2})).lines
    assert line.computing_s == 2 * 5


def test_open_loops_take_the_time_of_their_arrivals_whatever_the_rates() -> None:
    counted = OPEN | {"name": "counted", "requests": 7}
    del counted["duration"]
    wanted = scenario(OPEN, counted, measure={"warmup": 0, "rounds": 1})
    slow, fast = (forecast(wanted, flat(rate, rate, "given")) for rate in (1, 1e6))
    assert slow.seconds == fast.seconds
    held, ended = slow.lines
    assert held.arriving_s == 1
    assert ended.arriving_s == pytest.approx(7 / 20, rel=0.6)
    assert ended.works[0].requests == 7


def test_what_a_cache_knows_is_not_computed_again() -> None:
    mixed = {"kind": "shared-document", "cache": {"warm": 0.7}} | PROMPTS
    (work,) = works(scenario(CLOSED | {"prompts": mixed}, measure={"warmup": 0}), 0)
    assert work.asked.tokens_in == 100
    assert work.asked.fresh == pytest.approx(0.3 * 100 + 100 / 10), "the cold ones, and the document once"


@pytest.mark.parametrize("capacity", [0.5, 1.5, 3, 7, 20])
@pytest.mark.parametrize("end", [{"duration": "100s"}, {"requests": 100}])
def test_no_search_takes_more_than_was_told(end: dict[str, Any], capacity: float) -> None:
    """Whatever the server can do, the probes and their arrivals stay within the forecast."""
    wanted = scenario(SEARCH | end, measure={"warmup": 1})
    (entry,) = wanted.load
    assert isinstance(entry, Search)
    search, requests, seconds = GoodputSearch(entry), 0, 0.0
    while rate := search.next_rate():
        (probe,) = works(scenario(entry.probe(rate).model_dump()), 0)
        requests, seconds = requests + probe.requests, seconds + (probe.arriving_s or 0.0)
        good = 100 if rate <= capacity else 0
        search.tell(rate, Attainment(good=good, n=100, low=good / 100, high=good / 100))
    (told,) = works(wanted, 0)
    assert told.at_most
    assert requests <= told.requests
    assert seconds <= (told.arriving_s or 0.0)


def test_rates_between_those_measured_lie_on_straight_lines() -> None:
    decode = [Decode(batch=size, depth=depth, tok_s=100 * size / depth) for size in (1, 4) for depth in (10, 30)]
    rates = Rates([Prefill(length=100, tok_s=100), Prefill(length=300, tok_s=300)], decode, "known")

    def seconds(**changes: Any) -> float:
        asked = {"requests": 1, "clients": 1, "tokens_in": 10.0, "fresh": 0.0, "tokens_out": 1} | changes
        return rates.seconds(Work("s", "w", None, Batch(**asked)))

    assert seconds(tokens_in=200.0, fresh=200.0, tokens_out=0) == pytest.approx(1)
    assert seconds(tokens_in=9.5) == pytest.approx(1 / 10)
    assert seconds(tokens_in=19.5) == pytest.approx(1 / ((10 + 100 / 30) / 2))
    assert seconds(tokens_in=9.5, clients=2) == pytest.approx(1 / (10 + 30 / 3))
    assert seconds(tokens_in=9.5, clients=99) == pytest.approx(1 / 40), "as many as were ever measured"


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    write_synthetic(header_of(Shape("llama", 512, 256, 512, 2, 4, 2, 64, 400), "Q8_0"), tmp_path / "m.gguf")
    return Deployment(str(tmp_path), "m", str(tmp_path / "m.gguf"), 512, slots=4, threads=1, threads_batch=1)


def test_without_a_limits_file_the_roofline_is_read_off(deployment: Deployment) -> None:
    rates = local_rates(deployment, lambda: PEAKS)
    assert "roofline" in rates.basis
    for found in rates.decode:
        needed = step_bytes(read_header(Path(deployment.weights)), batch=found.batch, depth=found.depth)
        assert found.tok_s == pytest.approx(found.batch * 1e9 / needed)
    assert {found.batch for found in rates.decode} == {1, 2, 4}


def limits(weights: Path, **host: Any) -> MeasuredLimits:
    return MeasuredLimits(
        measured="2026-11-28T00:00:00+00:00",
        host=this_host(("a card",), "a build").model_copy(update=host),
        model=fingerprint(weights),
        context_size=512,
        kv="split",
        kv_form=KvForm(cache_type_k="f16", cache_type_v="f16", flash_attention="off"),
        threads=1,
        threads_batch=1,
        batch=64,
        prefill=(Prefill(length=128, tok_s=123.0),),
        decode=(Decode(batch=1, depth=16, tok_s=45.0),),
        step_seconds=None,
    )


@pytest.mark.parametrize(("host", "used"), [({}, True), ({"cpu": "another"}, False), ({"cpus": 999}, False)])
def test_limits_that_were_measured_on_this_processor_count_first(
    deployment: Deployment, host: dict[str, Any], used: bool
) -> None:
    weights = Path(deployment.weights)
    limits(weights, **host).write(limits_path(weights))
    rates = local_rates(deployment, lambda: PEAKS)
    assert (rates.prefill[0].tok_s == 123.0) == used
    assert ("measured on 2026-11-28: m.gguf.limits.json" in rates.basis) == used


def test_a_limits_file_that_is_none_is_named_and_passed_over(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    limits_path(Path(deployment.weights)).write_text("{}")
    assert "roofline" in local_rates(deployment, lambda: PEAKS).basis
    assert "m.gguf.limits.json is ignored" in caplog.text


def test_each_target_has_the_best_rates_that_are_known_of_it() -> None:
    kinds = [{"name": "here", "kind": "ours"}, {"name": "there", "kind": "url", "url": "http://127.0.0.1:1/v1"}]
    targets = scenario(CLOSED, targets=[*kinds, kinds[1] | {"name": "known"}]).targets
    local, given = flat(1, 1, "local"), {"known": parse_rates("200:20")}
    assert [rates.basis.split()[0] for rates in rates_of(targets, given, local).values()] == [
        "local",
        "assumed:",
        "given:",
    ]


def test_money_is_tokens_or_seconds_times_their_price() -> None:
    asked = {"requests": 10, "tokens_in": 1_000_000, "tokens_out": 500_000, "seconds": 100.0, "pauses": 2}
    assert usd(TokenPrice(0.5, 1.5), **asked) == pytest.approx(0.5 + 0.75)
    pod, run = read_price(PRICES, "runpod-flex-4090"), read_price(PRICES, "cloudrun-2cpu-4gib")
    assert usd(pod, **asked) == pytest.approx((100 + 2 * 5) * 0.00031)
    assert usd(run, **asked) == pytest.approx(100 * 0.000058 + 10 * 0.0000004), "idle time is not billed there"


PAID = {"name": "pod", "kind": "runpod", "url": "https://api.runpod.ai/v2/x"}


def test_a_paid_target_without_a_price_is_named_and_with_one_says_how_sure_it_is() -> None:
    wanted = scenario(CLOSED, targets=[PAID])
    assert "money for pod: not known: say --price pod=SKU" in summary(forecast(wanted))
    priced = forecast(wanted, pod=read_price(PRICES, "runpod-flex-4090"))
    assert priced.usd == pytest.approx((priced.seconds + 2 * 5) * 0.00031)
    caveat = "price NOT VERIFIED, noted 2026-11-28 from https://docs.runpod.io/serverless/pricing"
    assert caveat in summary(priced)
    (section, _) = report_of(priced).sections
    assert any(isinstance(block, Text) and caveat in block.words for block in section.blocks)


def test_bounds_estimates_and_exact_numbers_are_told_apart() -> None:
    wanted = scenario(OPEN, measure={"warmup": 0, "rounds": 1})
    assert "; 1.0 s (" in summary(forecast(wanted))
    assert "; about " in summary(forecast(scenario(OPEN)))
    text = markdown(report_of(forecast(scenario(SEARCH | {"requests": 100}))))
    assert "**Requests**: at most " in text
    assert "| <= " in text


def command(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(["plan", *words])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "asked.yaml"
    path.write_text(json.dumps(scenario(CLOSED, targets=[PAID]).as_dict() | {"slo": None}))
    return str(path)


def test_the_command_tells_and_starts_nothing(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command(command(file, "--price", "pod=1:2", "--rounds", "3", "--rates", "pod=1000:100")) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["requests"], last["at_most"], last["unpriced"]) == (36, False, [])
    assert last["usd"] == pytest.approx((3600 * 1 + 3 * 516 * 2) / 1e6)
    assert sorted(path.name for path in Path(file).parent.iterdir()) == ["asked.yaml"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("--price x=1:2", "--price x=1:2: no target 'x' in the scenario; it has pod"),
        ("--price pod=1:b", "--price pod=1:b: '1:b' is not IN:OUT"),
        ("--price pod=-1:2", "both numbers are 0 or more"),
        ("--price pod=gold", "has no price 'gold'; it has runpod-flex-l4"),
        ("--rates pod=0:1", "rates are more than 0"),
        ("--rates pod", "'' is not IN:OUT"),
        ("--quant Q8_0", "--quant: only for the plan of a model"),
        ("--prices absent.yaml --price pod=gold", "absent.yaml: cannot be read"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(file: str, words: str, fault: str) -> None:
    with pytest.raises(BenchError, match=fault):
        cli.run_command(command(file, *words.split()))


def test_options_of_a_scenario_are_refused_for_a_model() -> None:
    with pytest.raises(BenchError, match="--rounds, --rates: only for the plan of a scenario, and phi-2 is none"):
        cli.run_command(command("phi-2", "--rounds", "2", "--rates", "a=1:2"))
