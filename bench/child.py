"""A measurement in a process of its own, whose memory is nobody else's and whose OpenMP team has met no other model.

`python -m MODULE JSON` is the child: JSON has its job, its last line of output the answer as one JSON object.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import BenchError

STATUS = Path("/proc/self/status")


def ask_child(module: str, job: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Raises BenchError, naming what is measured (`name`), with the last line that the child said."""
    command = [sys.executable, "-m", module, json.dumps(job)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        last = child.stderr.strip().rpartition("\n")[2] or f"it ended with status {child.returncode}"
        raise BenchError(f"measuring {name} failed: {last}")
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer


def peak_bytes() -> int:
    """The most memory that this process has had resident, mapped pages of files among it. Not `ru_maxrss`, which a
    child takes over from its parent."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    assert found, "Linux tells the resident size of every process"
    return int(found[1]) * 1024
