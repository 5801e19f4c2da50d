"""Service level objectives as they are written on a command line."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.slo import IN_CONVERSATION, PRESETS, TOKEN_LIMITS, Slo, parse_slo


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("ttft=2000", {"ttft_ms": 2000}),
        ("ttft=2000ms", {"ttft_ms": 2000}),
        ("ttft=2s", {"ttft_ms": 2000}),
        ("ttft=1.5min, itl=.5", {"ttft_ms": 90_000, "itl_ms": 0.5}),
        ("e2e=30s,itl=50ms", {"e2e_ms": 30_000, "itl_ms": 50}),
        ("mlperf-8b-interactive", PRESETS["mlperf-8b-interactive"]),
        ("mlperf-8b-interactive,itl=50", {"ttft_ms": 500, "itl_ms": 50}),
    ],
)
def test_limits_are_in_milliseconds_whatever_their_unit(text: str, limits: dict[str, float]) -> None:
    assert parse_slo(text).limits == limits


def test_a_preset_keeps_its_name() -> None:
    assert parse_slo(IN_CONVERSATION) == Slo(preset=IN_CONVERSATION)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ttft=fast", "'ttft=fast' is not a limit"),
        ("ttft=2s;itl=1s", "'ttft=2s;itl=1s' is not a limit"),
        ("ttft=2s,2s", "'2s' is not a limit"),
        ("ttft=2h", "'ttft=2h' is not a limit"),
        ("ttft=-1", "'ttft=-1' is not a limit"),
        ("ttft=0s", "'ttft=0s' is not a limit"),
        ("itl=1,itl=2", "'itl=2' is set twice"),
        ("", "'' is not a limit"),
    ],
)
def test_the_part_that_cannot_be_read_is_named_with_the_right_form(text: str, words: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse_slo(text)
    assert words in caught.value.message
    assert "write ttft=2s,itl=100ms,e2e=30s, or one of mlperf" in caught.value.message


def test_a_limit_that_means_nothing_to_who_asks_is_refused() -> None:
    with pytest.raises(BenchError, match="'e2e=9s' is not a limit: write ttft=2s,itl=100ms, or"):
        parse_slo("ttft=1s,e2e=9s", TOKEN_LIMITS)
