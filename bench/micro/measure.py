"""pytest on this folder, in a process of its own: it has hooks and plugins that are no business of the bench's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from bench.errors import BenchError
from bench.micro.result import Micro, read_micro

FOLDER = Path(__file__).parent
FILE_NAME = "benchmark.json"


def pytest_command(*options: str) -> list[str]:
    """Raises BenchError where pytest-benchmark is missing."""
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise BenchError("bench micro needs pytest-benchmark: pip install 'warmfn[bench]'")
    return [sys.executable, "-m", "pytest", "-c", str(FOLDER / "pytest.ini"), "-q", str(FOLDER), *options]


def measure_micro(models: Path, name: str, out: Path) -> Micro:
    """Leaves pytest-benchmark's own file in `out`. Raises BenchError if a benchmark fails; pytest has said why."""
    written = out / FILE_NAME
    options = (f"--models={models}", f"--model={name}", f"--benchmark-json={written}", "--benchmark-save-data")
    # pytest's own report goes where progress goes: the last line of standard output is ours.
    status = subprocess.run(pytest_command(*options), stdout=sys.stderr, check=False).returncode
    if status:
        raise BenchError(f"bench micro: pytest ended with status {status}; what it says is above")
    return read_micro(written)
