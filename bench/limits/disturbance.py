"""Whether others computed meanwhile: limits measured beside a busy neighbour would hold a server back for good."""

from __future__ import annotations

from bench.result import Flag
from bench.sample import HostUse, Readings

BUSY_CORES = 0.25
"""Of others. With one of two cores taken, SmolLM2 wrote 15 tokens a second with two threads and 81 with one; idle it is
150 and 85."""


def readings() -> Readings:
    """This process computes itself; there are no targets beside it."""
    return Readings.take(0.0, 0.0)


def disturbances(use: HostUse) -> list[Flag]:
    """Reasons not to let a server start from what was measured."""
    found = {
        "neighbours": (use.neighbours or 0.0, "other processes of this host"),
        "steal": (use.steal, "other tenants of the machine (steal)"),
    }
    return [
        Flag(code=code, severity="invalid", text=f"{who} used {cores:.2f} cores meanwhile: measure on an idle host")
        for code, (cores, who) in found.items()
        if cores > BUSY_CORES
    ]
