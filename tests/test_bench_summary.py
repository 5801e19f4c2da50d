"""From requests with known times to rates, ratios and doubts."""

from __future__ import annotations

from typing import Any

import pytest

from bench.calibrate.calibration import Calibration
from bench.doubts.machine import doubts_of_builds
from bench.prompt_spec import Cache, Mixed
from bench.record import INTERRUPTED, RequestRecord
from bench.report.blocks import Notes
from bench.report.stages import sections
from bench.result import ScenarioText
from bench.sample import HostUse, Sample
from bench.scenario import Scenario
from bench.session import Session
from bench.summary import ratios, summarise

SCENARIO = Scenario.model_validate(
    {
        "schema": "bench.scenario/1",
        "name": "known",
        "model": "m",
        "targets": [{"name": "ours", "kind": "ours"}, {"name": "peer", "kind": "llama-server"}],
        "load": [{"name": "one", "concurrency": 1, "requests": 1, "prompts": {"isl": 20, "osl": 11}}],
        "measure": {"rounds": 1},
    }
)
(STAGE,) = SCENARIO.load
QUIET = HostUse(client=0.1, target=1.9, idle_targets=0.0, neighbours=0.0, steal=0.0, throttled=0.0, mhz=2600.0)
ENOUGH = 7
"""Requests that a median needs."""
MS = 1_000_000


def sample(
    target: str = "ours", number: int = 0, host: HostUse | None = QUIET, requests: int = ENOUGH, **changes: Any
) -> Sample:
    """Requests at once: due at 0, first token at 100 ms, then a token every 10 ms, the end 5 ms after the last."""
    found = Sample(target, STAGE, number, host=host, template_tokens=20)
    for _ in range(requests):
        record = found.new_record()
        record.t_sched, record.t_send, record.t_first_byte = 0, 0, 90 * MS
        record.t_first_tok, record.t_last_tok, record.t_end = 100 * MS, 200 * MS, 205 * MS
        record.chunks = [((100 + 10 * i) * MS, None) for i in range(11)]
        record.isl, record.osl, record.cached, record.token_source = 40, 11, 15, "usage"
        for name, value in changes.items():
            setattr(record, name, value)
    return found


def codes(*samples: Sample, cache: Cache = "cold", calibration: Calibration | None = None) -> list[str]:
    prompts = STAGE.prompts.model_copy(update={"kind": "file", "cache": cache})
    scenario = SCENARIO.model_copy(update={"load": (STAGE.model_copy(update={"prompts": prompts}),)})
    for sample in samples:
        sample.stage = scenario.load[0]
    (stage,) = summarise(samples, scenario, calibration)
    return [flag.code for flag in stage.validity]


def test_rates_follow_their_definitions() -> None:
    (stage,) = summarise([sample()], SCENARIO)
    assert stage.rates.out_tok_s == pytest.approx(ENOUGH * 11 / 0.205)
    assert stage.rates.prompt_tok_s == pytest.approx(ENOUGH * 40 / 0.205)
    assert stage.rates.texts_s is None
    assert stage.rates.e2e_p50_ms == 205
    assert stage.rates.decode_tok_s == pytest.approx(10 / 0.1)
    assert stage.rates.ttft_p50_ms == 100
    assert (stage.sum.prompt, stage.sum.cached, stage.sum.completion) == (280, 105, 77)
    assert stage.metrics["gap_ms"] is not None
    assert stage.metrics["gap_ms"].n == 70
    assert (stage.validity, stage.verdict) == ([], "valid")


def test_rates_are_medians_over_rounds_and_ratios_are_theirs() -> None:
    ends = {"ours": (110 * MS, 220 * MS, 1100 * MS), "peer": (440 * MS, 440 * MS, 4400 * MS)}
    samples = [
        sample(target, number, t_end=end) for target, all_of in ends.items() for number, end in enumerate(all_of)
    ]
    stages = summarise(samples, SCENARIO)
    assert [stage.rates.out_tok_s for stage in stages] == [pytest.approx(ENOUGH * 50), pytest.approx(ENOUGH * 25)]
    found = {(ratio.metric, ratio.subject, ratio.baseline): ratio.ratio for ratio in ratios(stages, SCENARIO)}
    assert found["out_tok_s", "ours", "peer"] == pytest.approx(2)


def test_a_failed_request_counts_as_such_and_in_no_rate() -> None:
    failed = sample(err="HTTP 500", t_end=9_000 * MS)
    (stage,) = summarise([failed], SCENARIO)
    assert (stage.n_sent, stage.n_ok, stage.n_err) == (7, 0, 7)
    assert stage.rates.out_tok_s is None
    assert [(flag.code, flag.severity) for flag in stage.validity] == [("errors", "invalid")]
    assert stage.verdict == "invalid"


def test_a_refusal_is_no_failure_and_its_wait_is_told() -> None:
    refused = sample(err="HTTP 429: busy", status=429, refused=True, retry_after_s=3.0)
    served = sample(number=1)
    (stage,) = summarise([refused, served], SCENARIO)
    assert (stage.n_sent, stage.n_ok, stage.n_err, stage.n_refused) == (14, 7, 0, 7)
    flag = next(flag for flag in stage.validity if flag.code == "refused")
    assert flag.text == "7 of 14 requests were refused (HTTP 429, Retry-After 3 s in the median)"
    assert stage.verdict == "suspect"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cached": 30}, "cached"),
        ({"osl": 9}, "output_length"),
        ({"token_source": "chunks"}, "token_source"),
        ({"chunks": [(0, None), (1, None)], "chars": [20, 20]}, "bundled"),
        ({"t_send": 20 * MS}, "lag"),
        ({"err": INTERRUPTED}, "censored"),
        ({"host": None}, "rounds"),
        ({"host": HostUse(0.9, 1.0, 0.0, 0.0, 0.0)}, "client_cpu"),
        ({"host": HostUse(0.1, 1.0, 0.2, 0.0, 0.0)}, "idle_targets"),
        ({"host": HostUse(0.1, 1.0, 0.0, 0.5, 0.0)}, "neighbours"),
        ({"host": HostUse(0.1, 1.0, 0.0, 0.0, 0.3)}, "steal"),
        ({"host": HostUse(0.1, 1.0, 0.0, 0.0, 0.0, throttled=0.2)}, "throttled"),
        ({"isl": 44}, "prompt_length"),
        ({"transport": "poll"}, "transport"),
    ],
)
def test_each_trap_raises_its_own_doubt(changes: dict[str, Any], code: str) -> None:
    assert codes(sample(**changes)) == [code]


def test_neighbours_that_a_stage_asked_for_are_no_doubt() -> None:
    stage = STAGE.model_copy(update={"neighbours": 1})
    scenario = SCENARIO.model_copy(update={"load": (stage,)})
    for used, found in ((1.0, []), (1.4, ["neighbours"])):
        busy = sample(host=HostUse(0.1, 1.0, 0.0, used, 0.0))
        busy.stage = stage
        (summary,) = summarise([busy], scenario)
        assert [flag.code for flag in summary.validity] == found


def test_a_prompt_that_was_meant_warm_and_was_computed_raises_a_doubt() -> None:
    assert codes(sample(cached=35), cache="warm") == []
    assert codes(sample(), cache="warm") == codes(sample(cached=None), cache="warm") == ["not_cached"]


def mixed(warm: int, cold: int) -> Sample:
    """Requests of 40 prompt tokens, of which so many came from a cache where they were meant to and where not."""
    found = sample(requests=40)
    for record in found.records:
        record.cached = warm if MIX.is_warm(record.index) else cold
    return found


MIX = Mixed(warm=0.7)


def test_in_a_mix_each_request_is_held_against_what_it_was_meant_to_be() -> None:
    assert codes(mixed(warm=35, cold=15), cache=MIX) == []
    assert codes(mixed(warm=35, cold=35), cache=MIX) == ["cached"]
    assert codes(mixed(warm=15, cold=15), cache=MIX) == ["not_cached"]
    assert codes(mixed(warm=15, cold=35), cache=MIX) == ["cached", "not_cached"], "the share alone would not tell"


def test_the_report_of_a_mix_tells_what_usage_says_beside_what_was_meant() -> None:
    prompts = STAGE.prompts.model_copy(update={"kind": "shared-document", "cache": MIX})
    scenario = SCENARIO.model_copy(update={"load": (STAGE.model_copy(update={"prompts": prompts}),)})
    done = mixed(warm=30, cold=0)
    done.stage = scenario.load[0]
    text = ScenarioText(hash="s", text=scenario)
    result = Session("run", "known").result(complete=True, scenario=text, stages=summarise([done], scenario))
    notes = next(block for section in sections(result) for block in section.blocks if isinstance(block, Notes))
    share = sum(record.cached or 0 for record in done.records) / 1600
    assert any(line.startswith(f"ours: {share:.0%} of the prompt tokens came from a cache") for line in notes.lines)
    assert any("70% of the requests were meant to be warm" in line for line in notes.lines)


def test_fewer_requests_than_a_median_needs_raise_a_doubt() -> None:
    few = sample()
    del few.records[1:]
    assert codes(few) == ["samples"]


def test_what_is_not_above_the_clients_error_is_invalid_and_what_is_near_it_suspect() -> None:
    for error, expected in ((101.0, ["invalid"]), (20.0, ["suspect"]), (9.0, [])):
        calibration = Calibration(scripts=[], error_ms={"ttft_ms": error})
        (stage,) = summarise([sample()], SCENARIO, calibration)
        assert [flag.severity for flag in stage.validity if flag.code == "precision"] == expected


def late(*sent_ms: float) -> Sample:
    """Requests that were due at 0, sent so much later, and answered 70 ms after that."""
    found = sample(requests=len(sent_ms), t_first_byte=None)
    for record, ms in zip(found.records, sent_ms, strict=True):
        moved = round(ms * MS)
        record.t_send, record.t_first_tok = moved, moved + 70 * MS
        record.t_last_tok, record.t_end = moved + 170 * MS, moved + 175 * MS
    return found


@pytest.mark.parametrize(
    ("sent_ms", "expected"),
    [
        ([1.5] * 10, []),
        ([7.0] * 10, []),
        ([9.0] * 10, ["lag"]),
        ([0.9] * 95 + [3.0] * 5, []),
        ([0.9] * 90 + [60.0] * 10, ["lag"]),
        ([0.9] * 30 + [60.0] * 5, []),
    ],
    ids=["idle machine", "a tenth", "more", "idle machine with a tail", "a tail that p95 shows", "no p95 of so few"],
)
def test_lateness_is_doubted_by_what_it_does_to_a_percentile(sent_ms: list[float], expected: list[str]) -> None:
    assert codes(late(*sent_ms)) == expected


def test_lateness_within_the_clients_own_error_is_told_as_that() -> None:
    assert codes(late(*[9.0] * 10), calibration=Calibration(scripts=[], error_ms={"ttft_ms": 10.0})) == ["precision"]


def test_rounds_that_differ_much_raise_a_doubt() -> None:
    scenario = SCENARIO.with_rounds(2)
    quiet, loud = (summarise([sample(number=0), sample(number=1, t_end=end * MS)], scenario)[0] for end in (215, 410))
    assert quiet.spread["e2e_p50_ms"] == pytest.approx(10 / 210)
    assert quiet.validity == []
    assert [flag.code for flag in loud.validity] == ["noise"]


def test_a_clock_that_changed_between_rounds_raises_a_doubt() -> None:
    slow = HostUse(0.1, 1.9, 0.0, 0.0, 0.0, mhz=2000.0)
    assert codes(sample(number=0), sample(number=1, host=slow)) == ["clock"]


def test_replies_that_were_polled_tell_nothing_of_the_time_between_tokens() -> None:
    (stage,) = summarise([sample(transport="poll")], SCENARIO)
    assert stage.metrics["itl_ms"] is stage.metrics["gap_ms"] is stage.rates.decode_tok_s is None
    assert stage.rates.ttft_p50_ms == 100


def test_processes_that_are_not_ours_to_see_raise_no_doubt() -> None:
    assert codes(sample(host=HostUse(0.1, None, None, None, 0.0))) == []


def test_a_record_without_text_has_no_rates() -> None:
    record = RequestRecord(target="t", stage="s", round=0, index=0, isl_req=20, osl_req=2, t_sched=0)
    assert (record.ttft_ms, record.itl_ms, record.decode_tok_s, record.e2e_ms, record.prefill_tok_s) == (None,) * 5


def test_builds_for_different_processors_are_told() -> None:
    features = {"llama-cpp-python": "CPU : AVX2 = 1 | AVX512 = 1 |", "xllamacpp": "CPU : AVX2 = 1 | AVX512 = 0 |"}
    (flag,) = doubts_of_builds(features, SCENARIO.targets)
    assert "only llama-cpp-python was compiled for AVX512" in flag.text
    assert doubts_of_builds(features, SCENARIO.targets[:1]) == []
    assert doubts_of_builds(features | {"xllamacpp": features["llama-cpp-python"]}, SCENARIO.targets) == []
