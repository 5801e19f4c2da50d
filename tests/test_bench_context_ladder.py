"""Which of the limits binds."""

from __future__ import annotations

from bench.context.ladder import build_ladder
from bench.context.parts import Limit, LimitName


def ladder(tried: int | None = 8000, **tokens: int | None) -> tuple[LimitName | None, int | None]:
    """`NAME_at_least` is a limit that was not met."""
    limits: dict[LimitName, Limit] = {
        "advertised": Limit(tokens=None, why=""),
        "configured": Limit(tokens=None, why=""),
        "memory": Limit(tokens=None, why=""),
        "latency": Limit(tokens=8000, at_least=True, why=""),
        "effective": Limit(tokens=8000, at_least=True, why=""),
    }
    limits |= {name: Limit(tokens=count, why="") for name, count in tokens.items()}  # type: ignore[misc]
    found = build_ladder(limits, tried)
    return found.binding, found.usable


def test_the_least_limit_binds() -> None:
    assert ladder(advertised=8192, configured=8192, memory=50_000) == ("advertised", 8192)
    assert ladder(advertised=8192, configured=8192, memory=3000) == ("memory", 3000)
    assert ladder(advertised=8192, configured=8192, latency=1500) == ("latency", 1500)
    assert ladder(advertised=8192, configured=8192, effective=2048, latency=4000) == ("effective", 2048)


def test_a_limit_far_beyond_what_was_tried_does_not_bind() -> None:
    assert ladder(tried=2000, configured=8192) == (None, 2000)
    assert ladder(tried=2000, configured=8192, latency=1500) == ("latency", 1500)
    assert ladder(tried=None) == (None, None)
