"""Who used this machine's processors: the target, the bench, a neighbour, or another tenant (steal).

Read from Linux's /proc, in seconds over all cores; and what held all of them back: a cgroup's quota, a low clock.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.environment import CGROUP
from bench.errors import BenchError

PROC = Path("/proc")
CPU_STATS = {"cpu.stat": ("throttled_usec", 1e6), "cpu/cpu.stat": ("throttled_time", 1e9)}
"""In which file of which cgroup version which key counts, and how many of it are a second."""
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


def throttled_seconds() -> float | None:
    """In which this cgroup had work and no quota left, since it began. None where the kernel does not tell."""
    for file, (key, per_second) in CPU_STATS.items():
        try:
            fields = dict(line.split() for line in (CGROUP / file).read_text().splitlines())
        except OSError:
            continue
        return int(fields[key]) / per_second if key in fields else None
    return None


def clock_mhz() -> float | None:
    """The mean of all cores, as they run now. None where the kernel does not tell."""
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return None
    found = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return fmean(found) if found else None


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
