"""The client against answers of known timing, and that a client that errs is found out."""

from __future__ import annotations

import pytest

from bench.calibrate.calibration import METRICS, Calibration
from bench.calibrate.plays import Play, compare
from bench.calibrate.scripts import SCRIPTS
from bench.doubts.numbers import doubts_of_client
from bench.record import RequestRecord
from bench.report import calibration as report
from bench.report.blocks import Table
from bench.session import Session

BY_NAME = {script.name: script for script in SCRIPTS}
TRUTH = {"ttft_ms": [30.0], "itl_ms": [4.0], "gap_ms": [4.0] * 15, "e2e_ms": [100.0]}
MS = 1_000_000


def play(script: str = "plain stream", truth: dict[str, list[float]] = TRUTH, **changes: object) -> Play:
    """A client that is right to the nanosecond, but for the changes."""
    found = RequestRecord("calibration", script, 0, 0, 20, 16, 0, t_send=0, t_first_tok=30 * MS, t_last_tok=90 * MS)
    found.t_end, found.isl, found.osl = 100 * MS, 20, 16
    found.chunks = [((30 + 4 * number) * MS, None) for number in range(16)]
    for name, value in changes.items():
        setattr(found, name, value)
    return Play(BY_NAME[script], found, truth)


def test_a_client_without_error_has_none() -> None:
    found = compare([play()])
    assert found.error_ms == dict.fromkeys(METRICS, 0.0)
    assert found.faults == []


def test_a_first_token_that_is_taken_too_early_is_the_error_of_ttft() -> None:
    (check,) = compare([play(t_first_tok=2 * MS)]).scripts
    assert check.bias_ms["ttft_ms"] == -28
    assert check.worst_ms["itl_ms"] == pytest.approx(28 / 15)


@pytest.mark.parametrize(
    ("script", "changes", "words"),
    [
        ("plain stream", {"osl": 4}, "16 tokens, counted 4"),
        ("plain stream", {"chunks": [(0, None)]}, "15 gaps between texts, found 0"),
        ("plain stream", {"err": "lost"}, "is ok, was taken for error"),
        ("error within a stream", {}, "is error, was taken for ok"),
        ("refusal", {"err": "HTTP 429"}, "is refused, was taken for error"),
    ],
)
def test_what_the_client_takes_wrongly_makes_every_number_invalid(
    script: str, changes: dict[str, object], words: str
) -> None:
    found = compare([play(script, **changes)])
    (flag,) = doubts_of_client(found)
    assert (flag.code, flag.severity) == ("calibration", "invalid")
    assert words in flag.text


def test_a_result_holds_the_calibration_and_its_report_names_the_fault() -> None:
    session = Session("calibrate", "client")
    session.calibration = compare([play(), play("refusal", err="HTTP 429")])
    result = session.result(complete=True)
    assert [flag.code for flag in result.validity] == ["calibration"]
    (section,) = report.sections(result)
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert table.doubted == {1}
    assert "was taken for error" in table.rows[1][-1]
    session.calibration = Calibration(scripts=[], error_ms={})
    assert session.result(complete=True).validity == []
