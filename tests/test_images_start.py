"""An image's main process and its health check."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handlers.start import address

PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def healthcheck(**environ: str) -> int:
    command = [sys.executable, "-m", "handlers.healthcheck"]
    return subprocess.run(command, env=os.environ | environ, stderr=subprocess.DEVNULL).returncode


def test_it_becomes_the_server_and_ends_on_sigterm(tmp_path: Path) -> None:
    environ = {"PORT": str(free_port()), "LOCALAI_ADDRESS": "127.0.0.1:1", "MODELS_PATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "handlers.start"], env=os.environ | environ) as process:
        deadline = time.monotonic() + PATIENCE_S
        while healthcheck(**environ) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert healthcheck(**environ) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert healthcheck(**environ) == 1


def test_a_queue_worker_is_well_without_serving_anything() -> None:
    assert healthcheck(MODE="runpod", PORT=str(free_port())) == 0


def test_an_unknown_mode_is_refused_with_those_that_there_are() -> None:
    command = [sys.executable, "-m", "handlers.start"]
    done = subprocess.run(command, env=os.environ | {"MODE": "cgi"}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "MODE='cgi' cannot be read: give http or runpod\n")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ":8080"),
        ({"ADDRESS": "127.0.0.1:9000"}, "127.0.0.1:9000"),
        ({"PORT": "8081", "ADDRESS": ":9000"}, ":8081"),
        ({"PORT": "", "ADDRESS": ""}, ":8080"),
    ],
)
def test_the_platforms_port_wins_over_the_address(environ: dict[str, str], expected: str) -> None:
    assert address(environ) == expected


def test_a_cold_start_does_not_pay_for_imports_twice() -> None:
    code = (
        "import sys, handlers.start; print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    imported = subprocess.check_output([sys.executable, "-I", "-c", code], text=True).split()
    assert {"core", "pydantic", "uvicorn"}.isdisjoint(imported)
