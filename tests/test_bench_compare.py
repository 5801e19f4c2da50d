"""Comparisons: verdicts on known distributions, refusals, gates, exit codes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.compare.bootstrap import redrawn_percentiles
from bench.compare.checks import held_against, missing
from bench.compare.comparable import check_comparable
from bench.compare.contents import report_of
from bench.compare.gate import EXAMPLE, Gate, read_gate
from bench.compare.intervals import Interval, of_ratio, spread, student_t
from bench.compare.judge import Comparison, compare
from bench.compare.metrics import read_metric
from bench.compare.side import Run, Side, read_side
from bench.errors import BenchError
from bench.report.html import html
from bench.requests_file import REQUESTS_FILE
from bench.result import Flag, Result, ScenarioText
from bench.sample import Sample
from bench.session import Session
from bench.summary import summarise
from handlers.cli import main
from tests.test_bench_summary import SCENARIO, STAGE, sample

MS = 1_000_000
PLACE = ("one", "ours")
SESSION = Session("run", "known")
EMPTY = SESSION.result(complete=True, scenario=ScenarioText(hash="s", text=SCENARIO))
TTFT = read_metric("ttft_ms")


def rounds(medians: list[float], *, requests: int = 20, seed: int = 0, jitter: float = 0.01) -> list[Sample]:
    """A round for each TTFT (ms), its requests around it, one after the other; 11 tokens 10 ms apart after each."""
    rng = np.random.default_rng(seed)
    found = []
    for number, middle in enumerate(medians):
        done = Sample("ours", STAGE, number)
        for ttft in middle * np.exp(jitter * rng.standard_normal(requests)):
            done.records += sample(number=number, requests=1, t_first_tok=int(ttft * MS)).records
        found.append(done)
    return found


def run(medians: list[float], **changes: Any) -> Run:
    samples = rounds(medians, **changes)
    result = EMPTY.model_copy(update={"stages": summarise(samples, SCENARIO)})
    return Run(Path("somewhere"), result, [record for done in samples for record in done.records])


def side(*medians: list[float], **changes: Any) -> Side:
    return Side(tuple(run(of_run, seed=seed, **changes) for seed, of_run in enumerate(medians)))


def judged(a: list[float], b: list[float], **changes: Any) -> Comparison:
    return compare(side(a), side(b, **changes), PLACE, TTFT)


def gate(**rule: Any) -> Gate:
    return Gate.model_validate({"schema": "bench.gate/1", "require": {"min_rounds": 3}, "rules": [rule]})


SLOWER = {"metric": "ttft_ms", "better": "lower", "max_regression": "5%"}


@pytest.mark.parametrize(
    ("b", "verdict"),
    [
        ([99, 100, 101, 100, 100], "same"),
        ([120, 121, 119, 120, 122], "worse"),
        ([80, 81, 79, 80, 80], "better"),
        ([90, 112, 118, 100, 109], "unresolved"),
    ],
)
def test_verdicts_follow_the_interval_and_the_margin(b: list[float], verdict: str) -> None:
    assert judged([100, 101, 99, 100, 100], b).verdict == verdict


def test_higher_is_better_for_rates() -> None:
    """The later the first token, the shorter the rest: the last one comes at 200 ms."""
    late, early = side([150, 151, 149]), side([100, 101, 99])
    metric = read_metric("decode_tok_s")
    assert compare(early, late, PLACE, metric).verdict == "better"
    assert compare(late, early, PLACE, metric).verdict == "worse"


def test_what_differs_less_than_rounds_do_from_each_other_is_not_told_apart() -> None:
    noisy = [80, 120, 84, 118, 100, 92, 110, 88, 117, 83] * 4
    found = judged(noisy, [value * 1.1 for value in noisy])
    assert found.noise == pytest.approx(0.15, abs=0.04)
    assert found.margin == found.noise
    assert found.verdict in ("same", "unresolved")


def test_one_round_tells_no_interval_and_says_what_is_missing() -> None:
    found = judged([100], [200])
    assert (found.verdict, found.more, found.reason) == ("unresolved", 1, "each side needs at least 2 rounds")
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(2, rel=0.02)
    assert found.ratio.low is None


def test_the_rounds_that_are_asked_for_decide() -> None:
    rng = np.random.default_rng(3)
    a, b = (list(middle * np.exp(0.08 * rng.standard_normal(4))) for middle in (100, 118))
    found = judged(a, b)
    assert found.verdict == "unresolved"
    assert found.more
    again = 3 * (4 + found.more)
    more_a, more_b = (list(middle * np.exp(0.08 * rng.standard_normal(again))) for middle in (100, 118))
    assert judged(more_a, more_b).verdict == "worse"


def test_a_tail_needs_its_samples() -> None:
    few, many = side([100, 100], requests=20), side([100, 100], requests=60)
    metric = read_metric("ttft_ms.p95")
    assert compare(few, many, PLACE, metric).reason == "A has 40 values, p95 needs 90"
    assert compare(many, many, PLACE, metric).ratio is not None


def test_runs_are_the_units_where_there_are_several() -> None:
    """Three runs that differ, each with rounds that do not: the rounds must not hide that."""
    apart = side([90, 90, 90, 90], [100, 100, 100, 100], [112, 112, 112, 112])
    pooled = side([90, 90, 90, 90, 100, 100, 100, 100, 112, 112, 112, 112])
    by_run, by_round = (compare(a, a, PLACE, TTFT).ratio for a in (apart, pooled))
    assert by_run is not None
    assert by_round is not None
    assert by_run.half is not None
    assert by_round.half is not None
    assert by_run.half > 2 * by_round.half


def test_equal_sides_are_seldom_told_apart() -> None:
    """Nominally 5 %; over 300 simulated comparisons of equal sides."""
    rng = np.random.default_rng(11)

    def measured() -> list[list[float]]:
        return [list(m * np.exp(0.1 * rng.standard_normal(8))) for m in 100 * np.exp(0.05 * rng.standard_normal(5))]

    intervals = [of_ratio(*(spread([measured()], 50, by_run=False) for _ in "AB")) for _ in range(300)]
    wrong = sum(not (i.low or math.inf) <= 1 <= (i.high or 0) for i in intervals)
    assert wrong <= 24


def test_redrawn_percentiles_spread_as_theory_says() -> None:
    """The median of n normal values has the standard deviation sigma sqrt(pi / 2n)."""
    rng = np.random.default_rng(5)
    values = list(rng.normal(100, 10, 400))
    drawn = redrawn_percentiles([[values]], 50, np.random.default_rng(1))
    assert drawn.std() == pytest.approx(10 * math.sqrt(math.pi / 2 / 400), rel=0.25)
    ragged = redrawn_percentiles([[[1.0, 1.0], [5.0]], [[3.0]]], 50, np.random.default_rng(1))
    assert set(ragged) <= {1.0, 2.0, 3.0, 4.0, 5.0}


def test_students_t_joins_table_and_expansion() -> None:
    assert student_t(1) == 12.706
    assert student_t(30) == 2.042
    assert student_t(40) == pytest.approx(2.0211, abs=2e-3)
    assert student_t(1e9) == pytest.approx(1.95996, abs=1e-4)


def test_more_units_are_found_by_their_square_root() -> None:
    interval = Interval(1.1, 0.2, 1e6)
    assert interval.rounds_for(0.1, 10) == 40
    assert interval.rounds_for(0.2, 10) == 10
    assert interval.rounds_for(0.001, 10) is None


def test_results_that_differ_are_refused_unless_forced() -> None:
    a, b = side([100, 100]), side([100, 100])
    other = Side((Run(Path("other"), b.runs[0].result.model_copy(update={"scenario": None}), ()),))
    with pytest.raises(BenchError, match=r"scenario\.hash differs: s in somewhere, unknown in other"):
        check_comparable(a, other)
    assert [flag.code for flag in check_comparable(a, other, force=True)] == ["differs", "unknown"]
    assert [flag.code for flag in check_comparable(a, b)] == ["unknown"]
    assert check_comparable(a, other, same=["env.class"]) == []


def test_a_missing_stage_and_an_invalid_one_fail() -> None:
    a, b = side([100, 100]), side([100, 100])
    without = Side((Run(Path("b"), b.runs[0].result.model_copy(update={"stages": []}), ()),))
    assert [(check.status, check.words) for check in missing(a, without, "fail")] == [("fail", "B: not measured")]
    (stage,) = b.runs[0].result.stages
    cached = stage.model_copy(update={"validity": [Flag(code="cached", severity="invalid", text="came from a cache")]})
    invalid = Side((Run(Path("b"), b.runs[0].result.model_copy(update={"stages": [cached]}), b.runs[0].records),))
    (check,) = held_against(a, invalid, gate(**SLOWER))
    assert (check.status, check.words) == ("fail", "B: came from a cache")


@pytest.mark.parametrize(
    ("b", "status"),
    [([100, 101, 99], "pass"), ([80, 81, 80], "pass"), ([130, 131, 129], "fail"), ([95, 125, 105], "warn")],
)
def test_a_relative_rule_fails_only_beyond_doubt(b: list[float], status: str) -> None:
    (check,) = held_against(side([100, 101, 100]), side(b), gate(**SLOWER))
    assert check.status == status


def test_too_few_rounds_resolve_nothing() -> None:
    (check,) = held_against(side([100, 100]), side([150, 150]), gate(**SLOWER))
    assert (check.status, check.words) == ("warn", "2 rounds, 3 required")


@pytest.mark.parametrize(("limit", "status"), [(200, "pass"), (50, "fail"), (100, "warn")])
def test_an_absolute_rule_holds_for_the_whole_interval(limit: float, status: str) -> None:
    b = side([99, 101, 100])
    (check,) = held_against(b, b, gate(metric="ttft_ms", max=limit))
    assert check.status == status


def test_a_rule_about_nothing_is_an_error() -> None:
    b = side([99, 101])
    with pytest.raises(BenchError, match="no stage elsewhere in these results; they have one"):
        held_against(b, b, gate(**SLOWER, stages=["elsewhere"]))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{metric: speed, min: 1}", "no metric 'speed'; there are out_tok_s"),
        ("{metric: ttft_ms.p42, max: 1}", "ttft_ms.pN, N one of 50, 90, 95, 99"),
        ("{metric: out_tok_s.p95, min: 1}", "only a median"),
        ("{metric: ttft_ms, better: higher, max_regression: 3%}", "lower is better"),
        ("{metric: ttft_ms, better: lower}", "give `better` and `max_regression`, or"),
        ("{metric: ttft_ms, better: lower, max_regression: 3%, max: 9}", "give `better` and `max_regression`, or"),
        ("{metric: ttft_ms, maximum: 9}", r"rules\.0\.maximum: Extra inputs"),
    ],
)
def test_a_gate_names_what_is_wrong_with_it(rule: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(f"schema: bench.gate/1\nrules:\n  - {rule}\n")
    with pytest.raises(BenchError, match=words) as caught:
        read_gate(path)
    assert str(path) in caught.value.message


def test_the_gate_of_the_help_is_one(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(EXAMPLE)
    assert [str(rule) for rule in read_gate(path).rules] == [
        "decode_tok_s.p50: at most 3.0% worse",
        "ttft_ms.p95: at most 10.0% worse",
        "ttft_ms.p95: at most 2000",
        "context.effective: at most 0.0% worse",
        "failed: at most 0.05",
    ]


def written(folder: Path, medians: list[float], result: Result | None = None) -> str:
    folder.mkdir()
    made = run(medians)
    (result or made.result).write(folder)
    (folder / REQUESTS_FILE).write_text("".join(record.line() + "\n" for record in made.records))
    return str(folder)


def test_the_command_ends_with_the_status_of_the_gate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, slow = written(tmp_path / "a", [100, 101, 99, 100, 100]), written(tmp_path / "b", [150, 151, 149, 150, 150])
    rules, junit, summary = tmp_path / "gate.yaml", tmp_path / "junit.xml", tmp_path / "summary.md"
    rules.write_text("schema: bench.gate/1\nrules:\n  - {metric: ttft_ms, better: lower, max_regression: 10%}\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    command = ["bench", "compare", a, slow, "--gate", str(rules), "--junit", str(junit), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["status"], last["verdicts"]) == ("fail", {"one ours ttft_ms.p50": "worse"})
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("1", "1", "0")
    assert "| one ours |" in summary.read_text()
    assert "Comparison: known" in (tmp_path / "out/comparison.html").read_text()
    assert main(["bench", "compare", a, f"{a},{a}", "--gate", str(rules), "--out", str(tmp_path / "same")]) == 0
    assert main(["bench", "compare", a, slow, "--out", str(tmp_path / "no-gate")]) == 0


def test_what_cannot_be_compared_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = written(tmp_path / "a", [100, 100])
    other = EMPTY.model_copy(update={"scenario": None})
    b = written(tmp_path / "b", [100, 100], other)
    assert main(["bench", "compare", a, b]) == 2
    assert "scenario.hash differs" in capsys.readouterr().err
    assert main(["bench", "compare", a, str(tmp_path / "absent")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_without_records_the_rounds_of_the_result_are_compared(tmp_path: Path) -> None:
    a = written(tmp_path / "a", [100, 101, 99])
    (tmp_path / "a" / REQUESTS_FILE).unlink()
    (found,) = read_side(a).samples(PLACE, TTFT)
    assert [len(values) for values in found] == [1, 1, 1]
    (whole,) = read_side(a).samples(PLACE, read_metric("itl_ms"))
    assert [len(values) for values in whole] == [1]


def test_a_comparison_is_a_report() -> None:
    a, b = side([100, 101, 99]), side([130, 131, 129])
    comparisons = [compare(a, b, PLACE, TTFT)]
    text = html(report_of(a, b, comparisons, held_against(a, b, gate(**SLOWER)), check_comparable(a, b)))
    assert '<span class="badge worse">worse</span>' in text
    assert '<span class="badge fail">fail</span>' in text
    assert "<svg" in text
