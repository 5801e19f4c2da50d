"""What locust's own statistics and web UI show of a measured request."""

from __future__ import annotations

import locust.stats
from locust.env import Environment

from bench.record import RequestRecord


def keep_tenths() -> None:
    """Locust rounds to two digits."""
    locust.stats.bucket_response_time = lambda milliseconds: round(milliseconds, 1)


def show(environment: Environment, record: RequestRecord) -> None:
    """One request each for locust; TTFT and ITL as rows of type METRIC that no total includes."""
    environment.events.request.fire(
        request_type="POST",
        name="chat",
        response_time=record.e2e_ms,
        response_length=record.osl or 0,
        exception=RuntimeError(record.err) if record.err else None,
        context={},
    )
    for name in ("ttft_ms", "itl_ms"):
        if record.ok and (value := getattr(record, name)) is not None:
            environment.stats.get(name, "METRIC").log(value, 0)
