"""How long an HTTP reply may take: what the host grants every request, and what the caller of this one says."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from core.engine.deadline import MAX_SECONDS, Deadline, earliest
from core.errors import InvalidRequest

HEADER = "X-Request-Timeout"


def deadline_of(request: Request, limits: Mapping[str, float]) -> Deadline | None:
    """Counted from now, so call it as soon as the request is there; `limits` as `time_limits` in `Settings`.

    Raises InvalidRequest for a header that is no number.
    """
    deadlines = [Deadline.after(seconds, name) for name, seconds in limits.items()]
    if text := request.headers.get(HEADER):
        deadlines.append(Deadline.after(_seconds(text), HEADER))
    return earliest(*deadlines)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise InvalidRequest(f"{HEADER}: {text!r} is not a number of seconds, such as 30", param=HEADER)
    return seconds
