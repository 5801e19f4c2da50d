"""The answers of known timing: each is a way in which real servers make clients measure something else.

A script is what is written when. Standard library only, since the server that plays them should start at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """`wait_ms` after the step before it, `data` is written; with it `tokens` of text are complete."""

    wait_ms: float
    data: bytes
    tokens: int = 0


@dataclass(frozen=True)
class Script:
    """`outcome` is how a client should take it: whole, an error, or a refusal. Without `usage` what is to be counted
    are the pieces of text."""

    name: str
    steps: tuple[Step, ...]
    outcome: str = "ok"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def num_tokens(self) -> int:
        return sum(step.tokens for step in self.steps)


PROMPT_TOKENS = 20
FIRST_MS = 30.0
GAP_MS = 4.0
NUM_TOKENS = 16
DONE = b"data: [DONE]\n\n"


def event(payload: object) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})


def _usage(num_tokens: int) -> bytes:
    return event({"choices": [], "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": num_tokens}})


def _end(num_tokens: int) -> Step:
    return Step(GAP_MS, _usage(num_tokens) + DONE)


def _plain() -> tuple[Step, ...]:
    return (Step(FIRST_MS, text("one"), 1), *(Step(GAP_MS, text(" more"), 1) for _ in range(NUM_TOKENS - 1)))


def _bundled() -> Script:
    """Four tokens in each piece of text: whoever counts pieces finds a quarter of the speed."""
    steps = (Step(FIRST_MS, text("one"), 1), *(Step(4 * GAP_MS, text(" a b c d"), 4) for _ in range(4)))
    return Script("bundled tokens", (*steps, _end(17)))


def _early_role() -> Script:
    """Some servers announce the role before they have read the prompt."""
    role = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
    return Script("early role chunk", (Step(1.0, role), *_plain(), _end(NUM_TOKENS)))


def _split_character() -> Script:
    """Every piece of text is cut within a character; it is there when its second half is."""
    whole = text("é")
    cut = whole.index("é".encode()) + 1
    parts = [(Step(GAP_MS, whole[:cut]), Step(GAP_MS, whole[cut:], 1)) for _ in range(NUM_TOKENS // 2)]
    return Script("split characters", (Step(FIRST_MS, b""), *(step for pair in parts for step in pair), _end(8)))


def _slow_drip() -> Script:
    """An event in eight writes; a proxy with a small buffer does it."""
    whole = text(" drip")
    size = -(-len(whole) // 8)
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    drops = [Step(1.0, piece, int(piece is pieces[-1])) for _ in range(6) for piece in pieces]
    return Script("slow drip", (Step(FIRST_MS, b""), *drops, _end(6)))


def _error_within() -> Script:
    """The status said 200 long ago."""
    failed = event({"error": {"message": "the decoder failed", "type": "server_error"}})
    return Script("error within a stream", (*_plain()[:4], Step(GAP_MS, failed + DONE)), outcome="error")


SCRIPTS = (
    Script("plain stream", (*_plain(), _end(NUM_TOKENS))),
    _bundled(),
    _early_role(),
    _split_character(),
    _slow_drip(),
    Script("no usage", (*_plain(), Step(GAP_MS, DONE))),
    _error_within(),
    Script("end without [DONE]", _plain()[:4], outcome="error"),
    Script(
        "refusal",
        (Step(FIRST_MS, b'{"error": {"message": "busy"}}'),),
        outcome="refused",
        status=429,
        headers=(("Retry-After", "2"),),
    ),
)
