"""What this process may really use of the machine: its cgroup's limits and affinity, not the host's totals."""

from __future__ import annotations

import math
import os
import platform
import re
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
CPUINFO = Path("/proc/cpuinfo")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """CPUs by affinity, bounded by the cgroup's quota (v2 or v1) rounded up; at least 1.

    In a container `os.cpu_count()` names the host's cores, and one thread more than the quota allows makes every thread
    wait at each of ggml's barriers.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota(cgroup)
    return max(1, min(cpus, math.ceil(quota)) if quota else cpus)


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name, or only its kind where the system does not tell."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.machine()


def available_memory(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int | None:
    """Bytes that can still be allocated: the host's, or what the cgroup's limit leaves; None where neither is known."""
    found = [_number(meminfo, r"MemAvailable:\s+(\d+)", 1024)]
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (most := _number(cgroup / limit, r"(\d+)")) is not None:
            cache = _number(cgroup / Path(limit).parent / "memory.stat", r"inactive_file (\d+)") or 0
            found.append(most - (_number(cgroup / used, r"(\d+)") or 0) + cache)
    return min((size for size in found if size is not None), default=None)


def _cpu_quota(cgroup: Path) -> float | None:
    """CPU time per wall time that the cgroup grants; None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    return None if quota.strip() in ("max", "-1") else int(quota) / int(period)


def _number(path: Path, pattern: str, unit: int = 1) -> int | None:
    try:
        match = re.search(pattern, path.read_text())
    except OSError:
        return None
    return int(match[1]) * unit if match else None
