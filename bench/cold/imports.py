"""What a server's imports take, from the lines that Python writes when PYTHONPROFILEIMPORTTIME is set."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from bench.cold.result import Imports, ImportTime

PROFILED = {"PYTHONPROFILEIMPORTTIME": "1"}
"""In a server's environment."""
STANDARD_LIBRARY = "the standard library"

_LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", re.MULTILINE)
"""Microseconds in the module itself, and its name."""


def read_imports(log: Path, model: str, target: str) -> Imports | None:
    """None where the log has no such lines."""
    times: dict[str, list[int]] = defaultdict(list)
    for microseconds, module in _LINE.findall(log.read_text(errors="replace")):
        times[_package(module)].append(int(microseconds))
    packages = [ImportTime(package=name, modules=len(found), self_ms=sum(found) / 1e3) for name, found in times.items()]
    packages.sort(key=lambda package: package.self_ms, reverse=True)
    total = sum(package.self_ms for package in packages)
    return Imports(model=model, target=target, total_ms=total, packages=packages) if packages else None


def _package(module: str) -> str:
    name = module.partition(".")[0]
    return STANDARD_LIBRARY if name in sys.stdlib_module_names else name
