"""`warmfn serve`: a signal to end counts from the moment that the port is bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import free_port

EARLY_SIGNAL = """
import functools, signal, sys
import uvicorn
from handlers import boot, server

once = functools.cache(signal.raise_signal)

def told_to_end_before(call):
    def wrapper(*arguments, **options):
        once(signal.{name})
        return call(*arguments, **options)
    return wrapper

{moment} = told_to_end_before({moment})
sys.exit(server.serve("127.0.0.1", {port}))
"""


@pytest.mark.parametrize("moment", ["boot.service", "uvicorn.Server.run"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_that_comes_before_uvicorn_serves_ends_it_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, name: str
) -> None:
    monkeypatch.setenv("MODELS_PATH", str(tmp_path))
    code = EARLY_SIGNAL.format(moment=moment, name=name, port=free_port())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
