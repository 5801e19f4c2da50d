"""From requests with known times to rates, ratios and doubts."""

from __future__ import annotations

from typing import Any

import pytest

from bench.record import INTERRUPTED, RequestRecord
from bench.sample import HostUse, Sample
from bench.scenario import Scenario
from bench.summary import ratios, summarise
from bench.validity import doubts, doubts_of_builds

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
QUIET = HostUse(client=0.1, target=1.9, idle_targets=0.0, neighbours=0.0, steal=0.0)
MS = 1_000_000


def sample(target: str = "ours", number: int = 0, host: HostUse | None = QUIET, **changes: Any) -> Sample:
    """One request: due at 0, first token at 100 ms, then a token every 10 ms, the end 5 ms after the last."""
    found = Sample(target, STAGE, number, host=host)
    record = found.new_record()
    record.t_sched, record.t_send, record.t_first_byte = 0, 0, 90 * MS
    record.t_first_tok, record.t_last_tok, record.t_end = 100 * MS, 200 * MS, 205 * MS
    record.chunks = [((100 + 10 * i) * MS, None) for i in range(11)]
    record.isl, record.osl, record.cached, record.token_source = 40, 11, 15, "usage"
    for name, value in changes.items():
        setattr(record, name, value)
    return found


def codes(*samples: Sample, rounds: int = 1) -> list[str]:
    return [flag.code for flag in doubts(samples, rounds=rounds)]


def test_rates_follow_their_definitions() -> None:
    (stage,) = summarise([sample()], SCENARIO)
    assert stage.rates.out_tok_s == pytest.approx(11 / 0.205)
    assert stage.rates.decode_tok_s == pytest.approx(10 / 0.1)
    assert stage.rates.ttft_p50_ms == 100
    assert (stage.sum.prompt, stage.sum.cached, stage.sum.completion) == (40, 15, 11)
    assert stage.metrics["gap_ms"] is not None
    assert stage.metrics["gap_ms"].n == 10
    assert stage.validity == []


def test_rates_are_medians_over_rounds_and_ratios_are_theirs() -> None:
    ends = {"ours": (110 * MS, 220 * MS, 1100 * MS), "peer": (440 * MS, 440 * MS, 4400 * MS)}
    samples = [
        sample(target, number, t_end=end) for target, all_of in ends.items() for number, end in enumerate(all_of)
    ]
    stages = summarise(samples, SCENARIO)
    assert [stage.rates.out_tok_s for stage in stages] == [pytest.approx(50), pytest.approx(25)]
    found = {(ratio.metric, ratio.subject, ratio.baseline): ratio.ratio for ratio in ratios(stages, SCENARIO)}
    assert found["out_tok_s", "ours", "peer"] == pytest.approx(2)


def test_a_failed_request_counts_as_such_and_in_no_rate() -> None:
    failed = sample(err="HTTP 500", t_end=9_000 * MS)
    (stage,) = summarise([failed], SCENARIO)
    assert (stage.n_sent, stage.n_ok, stage.n_err) == (1, 0, 1)
    assert stage.rates.out_tok_s is None
    assert [(flag.code, flag.severity) for flag in stage.validity] == [("errors", "invalid")]


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
    ],
)
def test_each_trap_raises_its_own_doubt(changes: dict[str, Any], code: str) -> None:
    assert codes(sample(**changes)) == [code]


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
