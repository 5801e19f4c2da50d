"""Starting llama.cpp, with the wheel that the tests use: its backends are compiled in."""

from __future__ import annotations

import logging

import pytest

from core.llama.dispatch import describe_backend, load_backends
from core.llama.library import start_backend


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "warmfn.llama")
    return caplog


def test_the_start_says_what_computes(log: pytest.LogCaptureFixture) -> None:
    start_backend.cache_clear()
    start_backend()
    assert log.messages == [f"llama.cpp computes on {describe_backend()}"]
    assert "CPU (" in describe_backend()


def test_a_folder_of_libraries_is_not_ignored_in_silence(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_backend()
    monkeypatch.setenv("WARMFN_GGML_DIR", "plugins")
    load_backends()
    assert "WARMFN_GGML_DIR is not used: this llama.cpp has its backends compiled in" in log.messages
