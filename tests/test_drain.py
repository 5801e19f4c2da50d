"""What a signal to end does to the service, beside what it does to the host."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from core.errors import ShuttingDown
from handlers import boot
from handlers.drain import drain_on_signals
from tests.serving import FakeService

ASK = {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


@pytest.fixture
def told_host() -> Iterator[list[int]]:
    """The signals that reached the host's own handler."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    interrupt = signal.getsignal(signal.SIGINT)
    yield told
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, interrupt)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    service = FakeService()
    monkeypatch.setattr(boot, "_service", service)
    yield service
    service.close()


def test_a_signal_ends_the_host_and_refuses_what_is_new(service: FakeService, told_host: list[int]) -> None:
    drain_on_signals(60)
    signal.raise_signal(signal.SIGTERM)
    assert told_host == [signal.SIGTERM]
    with pytest.raises(ShuttingDown):
        service.open("chat/completions", ASK)


def test_a_running_reply_has_its_time_and_then_the_service_is_closed(
    service: FakeService, told_host: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()
    monkeypatch.setattr(service, "close", closed.set)
    list(service.open("chat/completions", ASK))
    service.decoder.gate.clear()
    reply = service.open("chat/completions", ASK)
    drain_on_signals(0.01)
    signal.raise_signal(signal.SIGTERM)
    service.decoder.gate.set()
    assert list(reply)
    assert closed.wait(5)
    monkeypatch.undo()


def test_without_a_service_only_the_host_ends(monkeypatch: pytest.MonkeyPatch, told_host: list[int]) -> None:
    monkeypatch.setattr(boot, "_service", None)
    drain_on_signals(60)
    signal.raise_signal(signal.SIGTERM)
    assert told_host == [signal.SIGTERM]
