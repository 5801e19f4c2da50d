"""The ledger of a cold start: in the log, in the metrics and in the first reply."""

from __future__ import annotations

import threading

import pytest

from core import coldstart
from tests.serving import FakeService

ASK = {"model": "fake", "prompt": "a", "max_tokens": 2}


def test_the_process_is_older_than_its_first_import() -> None:
    assert 0 <= coldstart.process["interpreter"] < coldstart.age()
    assert coldstart.age() <= coldstart.age()


def test_a_phase_belongs_to_the_load_that_is_recorded_on_its_thread() -> None:
    others: list[coldstart.Phases] = []

    def load_another() -> None:
        with coldstart.recording() as phases, coldstart.phase("weights"):
            others.append(phases)

    with coldstart.recording() as phases:
        with coldstart.phase("context"):
            thread = threading.Thread(target=load_another)
            thread.start()
            thread.join()
        with coldstart.phase("context"):
            pass
    assert phases.keys() == {"context"}
    assert [other.keys() for other in others] == [{"weights"}]
    assert "weights" not in coldstart.process


def test_what_is_loaded_without_a_record_leaves_none() -> None:
    with coldstart.phase("weights"):
        pass
    assert "weights" not in coldstart.process


def test_a_phase_that_fails_is_counted_too() -> None:
    with coldstart.recording() as phases, pytest.raises(ZeroDivisionError), coldstart.phase("weights"):
        raise ZeroDivisionError
    assert phases.keys() == {"weights"}


def test_a_models_first_reply_tells_its_cold_start_and_the_next_does_not() -> None:
    service = FakeService()
    [first] = service.open("completions", ASK)
    [second] = service.open("completions", ASK)
    cold = first["timings"]["cold_start"]
    assert {"interpreter_ms", "warm_up_ms", "ready_ms", "first_token_ms"} <= cold.keys()
    assert cold["ready_ms"] > cold["interpreter_ms"]
    assert "cold_start" not in second["timings"]
    service.close()


def test_metrics_and_the_log_have_the_phases_of_every_load(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    service = FakeService()
    assert "cold_start_seconds{" in service.metrics.text().decode(), "the process's own"
    [_] = service.open("completions", ASK)
    text = service.metrics.text().decode()
    for phase in ("warm_up", "ready", "first_token"):
        assert f'warmfn_cold_start_seconds{{model="fake",phase="{phase}"}}' in text
    [line] = [record.message for record in caplog.records if "fake is ready" in record.message]
    assert "warm up" in line
    assert "interpreter" in line
    service.close()
