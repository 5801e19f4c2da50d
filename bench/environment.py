"""On what a run was measured: enough to see whether two results may be compared."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

LIBRARIES = ("llama-cpp-python", "xllamacpp", "numpy", "aiohttp", "functions-framework", "starlette", "uvicorn")
CGROUP = Path("/sys/fs/cgroup")
CPU_LIMITS = ("cpu.max", "cpu/cpu.cfs_quota_us")
MEMORY_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")

FEATURES = {
    "llama-cpp-python": "from core.llama.kernels import system_info; print(system_info())",
    "xllamacpp": "import xllamacpp; print(xllamacpp.get_system_info())",
}
"""How each copy of llama.cpp says for what processor it was compiled. A process each: both bring the same symbols."""


class Environment(BaseModel, frozen=True):
    """What could not be read is None. `cgroup_cpu` and `mem_max` are the kernel's own words (v2 or v1 files)."""

    cpu_model: str | None
    cpu_flags: str | None
    cores: int | None
    affinity: int | None
    cgroup_cpu: str | None
    mem_max: str | None
    mem_total: str | None
    kernel: str | None
    python: str | None
    libs: dict[str, str | None]
    llama_cpp_features: dict[str, str | None]
    openmp: dict[str, str]
    service_git: str | None


def read_environment() -> Environment:
    return Environment(
        cpu_model=_proc_field("cpuinfo", "model name"),
        cpu_flags=_proc_field("cpuinfo", "flags"),
        cores=os.cpu_count(),
        affinity=len(os.sched_getaffinity(0)),
        cgroup_cpu=_first_of(CPU_LIMITS),
        mem_max=_first_of(MEMORY_LIMITS),
        mem_total=_proc_field("meminfo", "MemTotal"),
        kernel=platform.release(),
        python=platform.python_version(),
        libs={name: _version(name) for name in LIBRARIES},
        llama_cpp_features=_features(),
        openmp={key: value for key, value in os.environ.items() if key.startswith(("OMP_", "GOMP_"))},
        service_git=_git_commit(),
    )


def _features() -> dict[str, str | None]:
    """Of each copy of llama.cpp that may be measured. A program that LLAMA_SERVER names stands in for xllamacpp, and
    tells its version only."""
    known = {package: _answer_of([sys.executable, "-c", code]) for package, code in FEATURES.items()}
    if (program := os.environ.get("LLAMA_SERVER")) and shutil.which(program):
        del known["xllamacpp"]
        known["llama-server"] = (_answer_of([program, "--version"], stderr=subprocess.STDOUT) or "").replace("\n", ", ")
    return known


def _proc_field(file: str, key: str) -> str | None:
    for line in (_read(Path("/proc") / file) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _first_of(files: tuple[str, ...]) -> str | None:
    return next((text for file in files if (text := _read(CGROUP / file))), None)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Of the service under test, marked `-dirty` where the working tree differs from the commit."""
    if not shutil.which("git"):
        return None
    return _answer_of(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"])


def _answer_of(command: list[str], *, stderr: int = subprocess.PIPE) -> str | None:
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False)
    return answer.stdout.strip() or None
