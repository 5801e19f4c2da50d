"""Who used this machine's processors: the target, the bench, a neighbour, or another tenant (steal).

Read from Linux's /proc, in seconds over all cores.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTimes:
    """Since boot: `busy` is work of any process, `steal` what the hypervisor gave to others."""

    busy: float
    steal: float


def cpu_times() -> CpuTimes:
    try:
        first = (PROC / "stat").read_text().splitlines()[0]
    except OSError as error:
        raise BenchError(
            "the bench reads /proc/stat to tell who was busy: run it on Linux or in a container"
        ) from error
    ticks = [int(field) / TICKS_PER_SECOND for field in first.split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
    return CpuTimes(user + nice + system + irq + softirq, steal)


def session_cpu_seconds(session: int) -> float:
    """Of the processes alive in this session, and of the children they have waited for."""
    return sum(_cpu_seconds(stat) for stat in _stats() if int(stat[3]) == session)


def _stats() -> list[list[str]]:
    """The fields of every /proc/PID/stat after the command name, which may itself hold spaces and brackets."""
    stats = []
    for path in PROC.glob("[0-9]*/stat"):
        try:
            stats.append(path.read_text().rpartition(")")[2].split())
        except OSError:  # the process ended while we were looking
            continue
    return stats


def _cpu_seconds(stat: list[str]) -> float:
    """utime, stime, cutime and cstime: fields 14 to 17 of proc(5), of which the first two are cut off."""
    return sum(int(ticks) for ticks in stat[11:15]) / TICKS_PER_SECOND
