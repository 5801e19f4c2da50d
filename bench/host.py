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


@dataclass(frozen=True)
class Process:
    """`cpu_seconds` are its own, and those of the children it has waited for."""

    pid: int
    name: str
    parent: int
    session: int
    cpu_seconds: float


def processes() -> list[Process]:
    """Those alive, as far as this namespace shows them."""
    found = []
    for path in PROC.glob("[0-9]*/stat"):
        try:
            found.append(_process(int(path.parent.name), path.read_text()))
        except OSError:  # the process ended while we were looking
            continue
    return found


def _process(pid: int, stat: str) -> Process:
    """From fields 2, 4, 6 and 14 to 17 (utime, stime, cutime, cstime) of proc(5)'s /proc/PID/stat. The command name may
    itself hold spaces and brackets."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(pid, head.partition("(")[2], int(fields[1]), int(fields[3]), ticks / TICKS_PER_SECOND)


def session_cpu_seconds(session: int) -> float:
    """Of the processes alive in this session, and of the children they have waited for."""
    return sum(process.cpu_seconds for process in processes() if process.session == session)
