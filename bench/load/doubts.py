"""Reasons to doubt what an open loop showed."""

from __future__ import annotations

from collections.abc import Iterator

from bench.result import Flag, RoundResult
from bench.stages import AnyStage, Closed


def load_doubts(stage: AnyStage, rounds: list[RoundResult], saturated: str | None) -> Iterator[Flag]:
    if isinstance(stage, Closed):
        return
    if saturated:
        text = f"saturated ({saturated}): latencies say how long the stage was, not how fast the server is"
        yield Flag(code="saturated", severity="suspect", text=text)
    if max((done.most_in_flight or 0 for done in rounds), default=0) >= stage.max_in_flight:
        text = f"{stage.max_in_flight} requests were in flight, the most allowed: others waited in the client"
        yield Flag(code="in_flight", severity="suspect", text=text)
