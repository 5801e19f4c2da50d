"""What is compared besides the metrics of requests: by value, by shares, over repetitions; and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.calibrate.calibration import Calibration, ScriptCheck
from bench.cold.result import ColdPart
from bench.compare import checks, families
from bench.compare.changes import Change, by_shares, by_value, difference
from bench.compare.checks import held_against, judged, missing
from bench.compare.comparable import check_comparable
from bench.compare.contents import report_of
from bench.compare.families import FAMILIES, Counted, Repeated, Share, Stated
from bench.compare.gate import Gate
from bench.compare.judge import Comparison
from bench.compare.places import WHOLE
from bench.compare.side import Run, Side
from bench.context.parts import Cell, ContextPart, EffectivePart, Ladder, Limit, MemoryPart, MemoryPoint
from bench.cost.make import make_cost, usd_per_request
from bench.cost.prices import Price
from bench.cost.request_use import from_rates
from bench.cost.result import CostPart
from bench.cost.worker import Worker
from bench.quants.result import QuantForm, QuantsPart
from bench.report.markdown import markdown
from bench.result import Result
from bench.session import Session
from bench.stats import wilson
from core.llama.measures import Quality, Rates
from handlers.cli import main
from tests.test_bench_cold import series, start
from tests.test_bench_compare import side as side_of_stages

EMPTY = Session("context", "known").result(complete=True)


def side(*results: Result) -> Side:
    return Side(tuple(Run(Path(f"run-{number}"), result, ()) for number, result in enumerate(results)))


def with_part(**parts: Any) -> Side:
    return side(EMPTY.model_copy(update=parts))


def context(effective: int | None = 2048, right: int = 19, loaded: int = 1000) -> ContextPart:
    """Limits of 4096 tokens but for the effective one; 20 answers at each of two depths."""
    tokens = dict.fromkeys(("advertised", "configured", "memory", "latency"), 4096) | {"effective": effective}
    cells = [Cell(task="single", length=1024, depth=depth, n=20, right=right) for depth in (0, 50)]
    memory = MemoryPart.model_construct(
        points=[
            MemoryPoint(context=4096, predicted_bytes=1, measured_bytes=loaded),
            MemoryPoint(context=8192, predicted_bytes=2, measured_bytes=None, error="too long"),
        ]
    )
    return ContextPart.model_construct(
        ladder=Ladder(
            limits={name: Limit(tokens=found, why="so") for name, found in tokens.items()},
            usable=effective,
            binding="effective",
            verdict="known",
        ),
        memory=memory,
        effective=EffectivePart.model_construct(cells=cells),
    )


def cost(prefill: float = 1000.0, **price: Any) -> CostPart:
    known = {"sku": "s", "platform": "p", "usd_per_second": 0.001, "bills_idle": True, "idle_timeout_s": 5}
    checked = {"noted": "2026-01-01", "verified": False, "source": "https://prices.example"}
    use = from_rates(1000, 100, prefill_tok_s=prefill, tok_s=100)
    return make_cost(use, Price(**known | checked | price), cold_s=20.0, idle_timeout_s=5.0)


def calibration(error: float = 0.5, fault: str | None = None) -> Calibration:
    script = ScriptCheck(script="plain", n=1, bias_ms={}, worst_ms={}, tokens=1, fault=fault)
    return Calibration(scripts=[script], error_ms={"ttft_ms": error})


def stated(name: str) -> Stated:
    family = FAMILIES[name]
    assert isinstance(family, Stated)
    return family


def counted(name: str) -> Counted:
    family = FAMILIES[name]
    assert isinstance(family, Counted)
    return family


def gate(**rule: Any) -> Gate:
    return Gate.model_validate({"schema": "bench.gate/1", "rules": [rule]})


A = with_part(context=context())


@pytest.mark.parametrize(("tokens", "verdict"), [(2048, "same"), (4096, "better"), (1024, "worse"), (2047, "worse")])
def test_a_length_that_was_tried_is_compared_by_value(tokens: int, verdict: str) -> None:
    found = by_value(A, with_part(context=context(effective=tokens)), WHOLE, stated("context.effective"))
    assert (found.verdict, found.a, found.b) == (verdict, 2048, tokens)


@pytest.mark.parametrize(("loaded", "verdict"), [(1049, "same"), (951, "same"), (1051, "worse"), (940, "better")])
def test_memory_may_differ_by_its_tolerance(loaded: int, verdict: str) -> None:
    b = with_part(context=context(loaded=loaded))
    found = judged(A, b, ("context 4096",), stated("memory.loaded_bytes"))
    assert found.verdict == verdict


def test_a_value_of_zero_can_be_compared() -> None:
    clean, faulty = with_part(calibration=calibration()), with_part(calibration=calibration(fault="counted wrongly"))
    faults = stated("calibration.faults")
    assert by_value(clean, clean, WHOLE, faults).verdict == "same"
    assert by_value(clean, faulty, WHOLE, faults).verdict == "worse"
    assert by_value(faulty, clean, WHOLE, faults).verdict == "better"


def test_runs_of_one_side_that_differ_widen_the_margin() -> None:
    family, place = stated("memory.loaded_bytes"), ("context 4096",)
    a = side(*(EMPTY.model_copy(update={"context": context(loaded=loaded)}) for loaded in (900, 1000, 1100)))
    b = side(*(EMPTY.model_copy(update={"context": context(loaded=loaded)}) for loaded in (970, 1080, 1190)))
    found = by_value(a, b, place, family)
    assert (found.a, found.b, found.verdict) == (1000, 1080, "same")
    assert found.margin == pytest.approx(0.1, abs=0.01)


def test_costs_are_compared_at_the_same_rates_whatever_those_of_the_results() -> None:
    fast, slow = cost(), cost(prefill=100.0)
    read = FAMILIES["cost.usd_per_m_out"].read(EMPTY.model_copy(update={"cost": fast}))
    assert read["10 requests per hour",] == pytest.approx(
        usd_per_request(Worker(2.0, 20.0, 5.0), fast.price, 10 / 3600) / 100 * 1e6
    )
    a, b = with_part(cost=fast), with_part(cost=slow)
    assert judged(a, b, ("100 requests per hour",), FAMILIES["cost.usd_per_m_out"]).verdict == "worse"
    (told,) = missing(a, b, "fail")
    assert told.words == "B: has none of 1000 requests per hour", "one worker does not keep up any more"


def test_dollars_that_are_compared_come_with_their_price() -> None:
    a, dearer = with_part(cost=cost()), with_part(cost=cost(usd_per_second=0.002))
    (flag,) = [flag for flag in check_comparable(a, a) if flag.code == "price"]
    assert "NOT VERIFIED, noted 2026-01-01 from https://prices.example" in flag.text
    assert [flag.text for flag in check_comparable(a, dearer) if "differ" in flag.text]
    verified = with_part(cost=cost(verified=True))
    assert [flag for flag in check_comparable(verified, verified) if flag.code == "price"] == []
    assert "price verified, noted 2026-01-01" in markdown(report_of(verified, verified, [], [], []))


def test_the_difference_of_shares_is_that_of_the_textbook() -> None:
    """Newcombe 1998, table II: 56/70 less 48/80, and 10/10 less 0/10."""
    assert difference(Share(48, 80), Share(56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference(Share(0, 10), Share(10, 10)) == pytest.approx((0.6075, 1.0), abs=5e-5)
    assert difference(Share(0, 20), Share(0, 10)) == pytest.approx((-0.1611, 0.2775), abs=5e-5)


@pytest.mark.parametrize(("right", "verdict"), [(19, "unresolved"), (5, "worse")])
def test_answers_are_compared_as_shares_of_all_depths(right: int, verdict: str) -> None:
    found = by_shares(A, with_part(context=context(right=right)), ("single", "1024 tokens"), counted("context.answers"))
    assert (found.a, found.b, found.verdict) == (38 / 40, right / 20, verdict)


@pytest.mark.parametrize(
    ("was", "found", "verdict", "may_be_worse"),
    [
        (Share(0, 1000), Share(0, 1000), "same", False),
        (Share(0, 1000), Share(50, 1000), "worse", True),
        (Share(50, 1000), Share(0, 1000), "better", False),
        (Share(0, 20), Share(1, 20), "unresolved", True),
        (Share(20, 1000), Share(8, 1000), "unresolved", False),
    ],
)
def test_shares_of_failures_are_told_apart_only_beyond_doubt(
    was: Share, found: Share, verdict: str, may_be_worse: bool
) -> None:
    made = {id(EMPTY): was}
    a, b = side(EMPTY), with_part()
    family = Counted("failed", "lower", 0.01, lambda result: {WHOLE: made.get(id(result), found)})
    change = by_shares(a, b, WHOLE, family)
    assert (change.verdict, change.may_be_worse) == (verdict, may_be_worse)


def test_repetitions_are_compared_as_rounds_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry is all that a family takes."""
    starts = {"a": [100.0, 101.0, 99.0, 100.0, 100.0], "b": [150.0, 151.0, 149.0, 150.0, 152.0]}
    family = Repeated("cold.first_ms", "lower", lambda result: {("ours", "warm"): starts.get(result.name)})
    monkeypatch.setitem(families.FAMILIES, family.name, family)
    a, b, neither = (side(EMPTY.model_copy(update={"name": name})) for name in ("a", "b", "c"))
    found = judged(a, b, ("ours", "warm"), family)
    assert isinstance(found, Comparison)
    assert (found.verdict, found.a, found.b) == ("worse", 100.0, 150.0)
    rule = gate(metric="cold.first_ms", better="lower", max_regression="10%", stages=["ours"])
    assert [check.status for check in held_against(a, b, rule)] == ["fail"]
    assert [check.status for check in held_against(a, a, rule)] == ["pass"]
    assert [check.words for check in missing(a, neither, "fail")] == ["B: has none of ours warm"]


@pytest.mark.parametrize(
    ("rule", "b", "statuses"),
    [
        ({"metric": "context.effective", "better": "higher", "max_regression": 0}, 2048, ["pass"]),
        ({"metric": "context.effective", "better": "higher", "max_regression": 0}, 1024, ["fail"]),
        ({"metric": "context.effective", "better": "higher", "max_regression": "60%"}, 1024, ["pass"]),
        ({"metric": "context.effective", "min": 2048}, 2048, ["pass"]),
        ({"metric": "context.effective", "min": 2048}, 1024, ["fail"]),
        ({"metric": "cost.usd_per_m_out", "max": 5}, 2048, ["fail"]),
        ({"metric": "cost.usd_per_m_out", "better": "lower", "max_regression": 0}, 2048, ["fail"]),
    ],
)
def test_a_rule_about_a_value_is_held_against_the_value(rule: dict[str, Any], b: int, statuses: list[str]) -> None:
    found = held_against(A, with_part(context=context(effective=b)), gate(**rule))
    assert [check.status for check in found] == statuses


@pytest.mark.parametrize(("right", "status"), [(20, "pass"), (10, "fail"), (18, "warn")])
def test_an_absolute_rule_about_shares_is_held_against_their_interval(right: int, status: str) -> None:
    b = with_part(context=context(right=right))
    (check,) = held_against(b, b, gate(metric="context.answers", min=0.85))
    low, high = wilson(2 * right, 40)
    assert check.status == status
    assert f"({low:.1%} to {high:.1%})" in check.words


def test_what_is_missing_in_b_fails_with_and_without_a_rule() -> None:
    without = with_part(context=context(effective=None))
    told = [(check.place, check.words) for check in missing(A, without, "fail")]
    assert told == [
        (("context.effective",), "B: has none of the whole"),
        (("context.usable",), "B: has none of the whole"),
    ]
    assert missing(without, A, "fail") == []
    found = held_against(A, without, gate(metric="context.effective", better="higher", max_regression=0))
    assert {check.status for check in found} == {"fail"}


def test_a_rule_that_a_has_nothing_for_fails() -> None:
    (check,) = held_against(with_part(), A, gate(metric="context.usable", better="higher", max_regression=0))
    assert (check.status, check.words) == ("fail", "A has no context.usable")


def test_a_rule_about_requests_fails_where_no_result_has_any() -> None:
    (check,) = held_against(A, A, gate(metric="ttft_ms", better="lower", max_regression=0.1))
    assert (check.status, check.words) == ("fail", "neither side has any ttft_ms.p50")


def test_other_tools_need_not_tell_what_ours_do() -> None:
    a, imported = with_part(calibration=calibration()), side(EMPTY.model_copy(update={"host_load": None}))
    assert missing(a, imported, "fail") == []
    told = [(check.place, check.words) for check in missing(a, with_part(), "fail")]
    assert told == [
        (("calibration.error_ms",), "B: has none of ttft_ms"),
        (("calibration.faults",), "B: has none of the whole"),
    ]


def test_stages_that_are_gone_are_told_once() -> None:
    a = side_of_stages([100, 100])
    without = Side((Run(Path("b"), a.runs[0].result.model_copy(update={"stages": []}), ()),))
    assert [check.words for check in missing(a, without, "fail")] == ["B: not measured"]


def test_failed_requests_of_a_stage_are_a_share() -> None:
    a = side_of_stages([100, 100])
    (stage,) = a.runs[0].result.stages
    broken = a.runs[0].result.model_copy(update={"stages": [stage.model_copy(update={"n_err": 30})]})
    found = judged(a, side(broken), ("one", "ours"), FAMILIES["failed"])
    assert isinstance(found, Change)
    assert (found.verdict, found.a, found.b) == ("worse", 0, 30 / 40)


def test_cold_starts_are_compared_kind_by_kind() -> None:
    def starts(*times: float) -> Side:
        kinds = [series(*(start(first_ms=time) for time in times)), series(start(), page_cache="cold")]
        return with_part(cold=ColdPart(rounds=len(times), series=kinds, imports=[]))

    a, b = starts(300, 301, 302, 303, 304), starts(600, 601, 602, 603, 604)
    family = FAMILIES["cold.first_ms"]
    assert set(family.read(a.runs[0].result)) == {
        ("m", "ours", "warm page cache", "20 tokens"),
        ("m", "ours", "cold page cache", "20 tokens"),
    }
    assert judged(a, b, ("m", "ours", "warm page cache", "20 tokens"), family).verdict == "worse"


def test_quantizations_are_compared_form_by_form() -> None:
    def forms(divergence: float, single: float) -> Side:
        quality = Quality(100, 20.0, 1.0, 19.0, 1.0, 0.05, 0.01, divergence, 0.001, 0.9)
        rounds = [Rates(900.0, single + number, 300.0) for number in range(5)]
        form = QuantForm(quant="Q4_0", file_bytes=1, weight_bytes=1, mixture={}, fast_share=None, rounds=rounds)
        original = form.model_copy(update={"quant": "F16", "rounds": []})
        forms = [original, form.model_copy(update={"quality": quality})]
        return with_part(quants=QuantsPart.model_construct(forms=forms))

    a, b = forms(0.1, 100), forms(0.2, 150)
    assert judged(a, b, ("Q4_0",), FAMILIES["quants.divergence"]).verdict == "worse"
    assert judged(a, b, ("Q4_0",), FAMILIES["quants.decode_tok_s"]).verdict == "better"
    assert FAMILIES["quants.decode_tok_s"].read(a.runs[0].result)["F16",] is None
    assert list(missing(a, b, "fail")) == []


def test_the_command_compares_what_both_results_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"a": 1000.0, "b": 500.0}
    for name, prefill in names.items():
        (tmp_path / name).mkdir()
        result = EMPTY.model_copy(update={"cost": cost(prefill, bills_idle=False), "calibration": calibration()})
        result.write(tmp_path / name)
    folders = [str(tmp_path / name) for name in names]
    assert main(["bench", "compare", *folders, "--out", str(tmp_path / "out")]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["verdicts"]["1000 requests per hour cost.usd_per_m_out"] == "worse"
    assert last["verdicts"]["ttft_ms calibration.error_ms"] == "same"
    text = (tmp_path / "out/comparison.md").read_text()
    assert "NOT VERIFIED" in text
    assert "| cost.usd_per_m_out: 100 requests per hour |" in text
    assert "by value" in text


def test_every_family_reads_a_result_that_has_nothing_of_it() -> None:
    assert {name: dict(family.read(EMPTY)) for name, family in FAMILIES.items() if family.read(EMPTY)} == {}
    assert checks.FAMILIES is families.FAMILIES
