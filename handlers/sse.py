"""Server-sent events as text: whoever carries them, they are the same bytes."""

from __future__ import annotations

import json

from core.errors import CoreError
from core.schema.replies import Object

DONE = "data: [DONE]\n\n"
PAUSE = ": keep-alive\n\n"
"""A comment, which clients skip."""


def data_event(chunk: Object) -> str:
    return f"data: {_encode(chunk)}\n\n"


def error_event(error: CoreError) -> str:
    """How a stream ends that cannot go on."""
    return f"event: error\ndata: {_encode(error.body())}\n\n"


def _encode(value: Object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
