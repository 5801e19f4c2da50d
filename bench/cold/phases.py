"""Where the time to a first answer goes: the server's own ledger, and what that cannot see."""

from __future__ import annotations

from bench.cold.result import ColdStart

IMPORTS = "Python and imports"
LIBRARIES = "llama.cpp or torch"
WEIGHTS = "weights"
CONTEXT = "context"
WARM_UP = "warm-up"
PACKS = "packs"
FIRST = "first answer"
UNSEEN = "not in the ledger"
PARTS = (IMPORTS, LIBRARIES, WEIGHTS, CONTEXT, WARM_UP, PACKS, FIRST, UNSEEN)

_PART_OF = {
    "interpreter": IMPORTS,
    "imports": IMPORTS,
    "folder": IMPORTS,
    "read_ahead": WEIGHTS,
    "libraries": LIBRARIES,
    "weights": WEIGHTS,
    "context": CONTEXT,
    "pack_restore": PACKS,
    "first_token": FIRST,
    "first_vectors": FIRST,
}
"""Phases of `core.coldstart`. `asked` and `ready` are moments; `warm_up` is without the packs restored in it."""


def taken_apart(start: ColdStart) -> dict[str, float | None]:
    """Milliseconds of each of PARTS that is known; together they are `first_ms`.

    What no phase of the ledger covers is UNSEEN: the command's start until its process counts, steps between phases,
    the wait until the client sees that it is ready, and the way of the request and its answer. Of a server without a
    ledger that is all until the request was sent.
    """
    if start.ledger is None:
        return {**dict.fromkeys(PARTS), FIRST: start.first_ms - start.sent_ms, UNSEEN: start.sent_ms}
    parts: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    for phase, part in _PART_OF.items():
        parts[part] += start.ledger.get(phase, 0.0)
    parts[WARM_UP] = start.ledger.get("warm_up", 0.0) - start.ledger.get("pack_restore", 0.0)
    return {**parts, UNSEEN: start.first_ms - sum(parts.values())}


def unseen(start: ColdStart) -> dict[str, float]:
    """UNSEEN of a start with a ledger, by where it lies; in milliseconds.

    `until ready is seen` is ready_ms - ready; `around the request` is first_ms - sent_ms - the ledger's first answer;
    the rest lies between the phases, and between ready_ms and sent_ms.
    """
    assert start.ledger is not None
    answer = sum(start.ledger.get(phase, 0.0) for phase, part in _PART_OF.items() if part == FIRST)
    found = {
        "until ready is seen": start.ready_ms - start.ledger["ready"],
        "around the request": start.first_ms - start.sent_ms - answer,
    }
    rest = (taken_apart(start)[UNSEEN] or 0.0) - sum(found.values())
    return found | {"between the phases": rest}
