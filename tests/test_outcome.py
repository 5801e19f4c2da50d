"""`warmfn_requests_total`: each request is counted once, when it has ended, by how it ended."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import CoreError, DecodeFailed
from core.outcome import ToldReply
from core.reply import Reply
from tests.fakes import fail_decode
from tests.serving import FakeService, eventually

ASK: dict[str, Any] = {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
STREAM = ASK | {"stream": True}
SERIES = re.compile(r'^warmfn_requests_total{model="(.*)",route="(.*)",status="(.*)"} (.*)$', re.MULTILINE)


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.decoder.gate.set()
    service.close()


def counted(service: FakeService) -> dict[str, float]:
    """Requests of chat/completions by their status."""
    found = SERIES.findall(service.metrics.text().decode())
    return {status: float(count) for _, route, status, count in found if route == "chat/completions"}


def test_a_request_counts_when_it_has_ended_and_not_before(service: FakeService) -> None:
    reply = service.open("chat/completions", ASK)
    assert counted(service) == {}
    list(reply)
    reply.close()
    assert counted(service) == {"200": 1}


def test_what_is_refused_counts_with_its_status(service: FakeService) -> None:
    for change in ({"temperature": "hot"}, {"n": 2}, {"model": "nope"}):
        with pytest.raises(CoreError):
            service.open("chat/completions", ASK | change)
    assert counted(service) == {"400": 2, "404": 1}


@pytest.mark.parametrize("ask", [ASK, STREAM])
def test_what_fails_after_it_was_accepted_counts_as_failed(service: FakeService, ask: dict[str, Any]) -> None:
    list(service.open("chat/completions", ask))
    service.decoder.fail_next = fail_decode
    reply = service.open("chat/completions", ask)
    with pytest.raises(DecodeFailed):
        list(reply)
    reply.close()
    assert counted(service) == {"200": 1, "500": 1}


def test_a_deadline_that_passes_without_a_token_counts_as_such(service: FakeService) -> None:
    assert service.runner.name == "fake"
    service.decoder.gate.clear()
    running = service.open("chat/completions", STREAM)
    assert eventually(lambda: service.runner.engine.num_running)
    late = service.open("chat/completions", ASK | {"request_timeout": 0.2})
    threading.Timer(0.4, service.decoder.gate.set).start()
    with pytest.raises(CoreError, match="no token came"):
        list(late)
    assert counted(service) == {"503": 1}
    running.close()


def test_what_is_closed_before_its_end_was_given_up(service: FakeService) -> None:
    service.open("chat/completions", STREAM).close()
    begun = service.open("chat/completions", STREAM)
    next(iter(begun))
    begun.close()
    begun.close()
    assert counted(service) == {"499": 2}


def test_a_consumer_that_is_cancelled_has_given_up(service: FakeService) -> None:
    assert service.runner.name == "fake"
    service.decoder.gate.clear()

    async def read() -> None:
        async for _ in service.open("chat/completions", ASK):
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(read())
        assert await asyncio.to_thread(eventually, lambda: service.runner.engine.num_running)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert counted(service) == {"499": 1}


class Odd(Reply):
    """Raises what nobody expects, or an error with a path in it."""

    stream = False

    def __init__(self, error: Exception) -> None:
        self.warnings: list[str] = []
        self._error = error

    def __iter__(self) -> Iterator[Any]:
        raise self._error

    def __aiter__(self) -> Any:
        raise self._error

    def close(self) -> None: ...


def test_a_bug_is_the_services_fault() -> None:
    told: list[int] = []
    with pytest.raises(ZeroDivisionError):
        list(ToldReply(Odd(ZeroDivisionError()), told.append, str))
    assert told == [500]


def test_a_late_error_is_phrased_for_clients_too() -> None:
    told: list[int] = []
    with pytest.raises(DecodeFailed) as failed:
        list(ToldReply(Odd(DecodeFailed("in /a/b")), told.append, lambda text: text.replace("/a/b", "the folder")))
    assert failed.value.message == "in the folder"
    assert told == [500]


def test_only_what_there_is_becomes_a_label(service: FakeService) -> None:
    """Else anybody could fill the memory with series."""
    for route, model in (("nonsense", "fake"), ("chat/completions", "made up")):
        with pytest.raises(CoreError):
            service.open(route, ASK | {"model": model})
    list(service.open("models/fake"))
    labels = {found[:3] for found in SERIES.findall(service.metrics.text().decode())}
    assert labels == {("fake", "", "404"), ("", "chat/completions", "404"), ("", "models", "200")}
