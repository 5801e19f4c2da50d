"""The ledger of a cold start: in the log, in the metrics and in the first reply."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from core import coldstart
from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.loader import Loaded, Loader
from core.service import Service
from tests.minilm_gguf import convert_minilm
from tests.serving import FakeService, SlowDecoder, eventually, fake_config
from tests.test_registry import FakeRunner

ASK = {"model": "fake", "prompt": "a", "max_tokens": 2}


def test_the_process_is_older_than_its_first_import() -> None:
    assert 0 <= coldstart.process["interpreter"] < coldstart.age()
    assert coldstart.age() <= coldstart.age()


def test_a_phase_belongs_to_the_load_that_is_recorded_on_its_thread() -> None:
    others: list[coldstart.Phases] = []

    def load_another() -> None:
        others.append({})
        with coldstart.recording(others[0]), coldstart.phase("weights"):
            pass

    phases: coldstart.Phases = {}
    with coldstart.recording(phases):
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
    phases: coldstart.Phases = {}
    with coldstart.recording(phases), pytest.raises(ZeroDivisionError), coldstart.phase("weights"):
        raise ZeroDivisionError
    assert phases.keys() == {"weights"}


def test_a_models_first_reply_tells_its_cold_start_and_the_next_does_not() -> None:
    service = FakeService()
    [first] = service.open("completions", ASK)
    [second] = service.open("completions", ASK)
    cold = first["timings"]["cold_start"]
    assert {"interpreter_ms", "asked_ms", "waiting_ms", "warm_up_ms", "ready_ms", "first_token_ms"} <= cold.keys()
    assert cold["ready_ms"] > cold["asked_ms"] > cold["interpreter_ms"]
    assert "cold_start" not in second["timings"]
    service.close()


def test_a_reply_that_does_not_end_leaves_the_ledger_to_the_next() -> None:
    service = FakeService()
    service.open("completions", ASK).close()
    [complete] = service.open("completions", ASK)
    assert "cold_start" in complete["timings"]
    service.close()


def test_the_ledger_of_a_reload_is_told_too_and_has_the_wait_for_its_predecessor() -> None:
    service = FakeService()
    [first] = service.open("completions", ASK)
    service.decoder = SlowDecoder(num_cells=400)
    edited = service.folder.configs["fake"].model_copy(update={"context_size": 100})
    service.update(replace(service.folder, configs={"fake": edited}))
    assert eventually(lambda: "predecessor" in (service.registry.status("fake").phases or {}))
    [again] = service.open("completions", ASK)
    cold = again["timings"]["cold_start"]
    assert "predecessor_ms" in cold
    assert cold["asked_ms"] > first["timings"]["cold_start"]["ready_ms"]
    service.close()


def test_a_load_that_waits_for_another_says_how_long() -> None:
    waiting: dict[str, float] = {}

    def load(config: ModelConfig) -> FakeRunner:
        time.sleep(0.05)
        return FakeRunner(config)

    loader, futures = Loader(load, lambda config: None), [Future[Loaded](), Future[Loaded]()]
    for name, future in zip("ab", futures, strict=True):
        loader.start(fake_config(name), future, coldstart.asked())
    for future in futures:
        loaded = future.result(5)
        waiting[loaded.config.name] = loaded.phases["waiting"]
    assert waiting["b"] > waiting["a"]


@pytest.mark.weights
def test_an_embedding_models_first_reply_tells_its_cold_start_too(models_folder: Path, tmp_path: Path) -> None:
    convert_minilm(models_folder / "all-MiniLM-L6-v2", tmp_path / "minilm.gguf")
    (tmp_path / "m.yaml").write_text("embeddings: true\nparameters: {model: minilm.gguf}\n")
    service = Service(read_folder(tmp_path))
    [first], [second] = (service.open("embeddings", {"model": "m", "input": "x"}) for _ in range(2))
    assert {"libraries_ms", "weights_ms", "first_vectors_ms"} <= first["timings"]["cold_start"].keys()
    assert "timings" not in second
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
