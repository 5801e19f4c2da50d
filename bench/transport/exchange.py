"""One request on its way: what a transport notes of it, before anybody reads what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

Block: TypeAlias = tuple[int, bytes]
"""perf_counter_ns at arrival, and what arrived."""


@dataclass
class Exchange:
    """Times are perf_counter_ns. `err` is set where no whole reply came; `platform` is what a host that stands between
    us and the server told of its own times (milliseconds)."""

    t_send: int | None = None
    t_end: int | None = None
    status: int | None = None
    retry_after_s: float | None = None
    blocks: list[Block] = field(default_factory=list)
    platform: dict[str, Any] = field(default_factory=dict)
    err: str | None = None

    @property
    def body(self) -> bytes:
        return b"".join(block for _, block in self.blocks)


class Transport(Protocol):
    name: str

    async def post(self, path: str, body: str, exchange: Exchange) -> None:
        """Send the JSON `body` to `path` below /v1 and note in `exchange` what comes, until it ends. A failure lands in
        `exchange.err`; times and blocks are noted also of a request that is cancelled."""

    async def close(self) -> None: ...


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds; None where the header is missing or gives a date."""
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None
