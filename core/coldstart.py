"""Where the time of a cold start goes: a ledger of phases, in seconds, kept at every start.

`process` has what happens once, before any model: `interpreter`, from the process's beginning to the first import of
`core`, the host's own imports among it; `imports`, until a host sets out to serve; `folder`, reading the models' YAML
files. A load has what it went through of: `predecessor`, until the version before an edit was idle and closed; `pull`;
`read_ahead`; `waiting`, for the loads before it; `libraries`, `weights`, `context`, `warm_up`, and `pack_restore` as a
part of that. Two are no spans but the age of the process: `asked`, when the load was asked for, and `ready`, when the
model was there. Last comes what the first request waited for: `first_token` or `first_vectors`.

Imported by `core/__init__.py`, so that the clock is read as early as can be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

Phases = dict[str, float]

STAT = Path("/proc/self/stat")
START_TICKS = 19
"""Place of the start time among the fields after the command's name, which is in brackets (proc(5))."""


def _process_age() -> float:
    """Seconds since this process began; 0 where the system does not tell."""
    try:
        ticks = int(STAT.read_text().rpartition(")")[2].split()[START_TICKS])
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 0.0)


process: Phases = {"interpreter": _process_age()}

_imported = time.monotonic()
_began = _imported - process["interpreter"]
_load: ContextVar[Phases | None] = ContextVar("load", default=None)


def age() -> float:
    """Seconds since the process began; of a forked one, since the process that read this module did."""
    return time.monotonic() - _began


def imported() -> None:
    """The host has imported what it needs and sets out to serve."""
    process["imports"] = time.monotonic() - _imported


def asked() -> Phases:
    """The ledger of a load that is asked for now."""
    return {"asked": age()}


@contextmanager
def recording(load: Phases) -> Iterator[None]:
    """Within this block, and on this thread, phases are those of this load."""
    token = _load.set(load)
    try:
        yield
    finally:
        _load.reset(token)


@contextmanager
def phase(name: str, of: Phases | None = None) -> Iterator[None]:
    """Count this block as a phase `of` this ledger, or else of the load that is being recorded, if one is."""
    ledger = _load.get() if of is None else of
    started = time.monotonic()
    try:
        yield
    finally:
        if ledger is not None:
            ledger[name] = ledger.get(name, 0.0) + time.monotonic() - started


def describe(load: Phases) -> str:
    """The whole ledger of one load, for the log."""
    return ", ".join(f"{name.replace('_', ' ')} {seconds:.2f} s" for name, seconds in (process | load).items())


def in_milliseconds(load: Phases) -> dict[str, float]:
    """The whole ledger of one load, for a reply's timings."""
    return {f"{name}_ms": round(seconds * 1e3, 1) for name, seconds in (process | load).items()}
