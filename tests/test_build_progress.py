"""scripts/build_progress.py as make runs it, around small shell commands in the place of a compilation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "build_progress.py"


def started(log: Path, shell: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(log), "bash", "-c", shell]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("step", ["  [$i/40] g++ -c x.cpp", "[$((i*100/40))%] Building x.cpp"])
def test_a_build_shows_every_tenth_and_logs_everything(tmp_path: Path, step: str) -> None:
    log = tmp_path / "log"
    with started(log, f'for i in $(seq 40); do echo "{step}"; echo noise; done') as build:
        out, err = build.communicate()
    assert build.returncode == 0
    assert err == ""
    assert len(out.splitlines()) == 11
    assert "100 %" in out.splitlines()[-1]
    assert len(log.read_text().splitlines()) == 80


def test_a_failed_build_keeps_its_status_and_shows_the_end_of_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(log, "seq 1000; echo 'x.cpp:1: error: no' >&2; exit 7") as build:
        _, err = build.communicate()
    assert build.returncode == 7
    assert "x.cpp:1: error: no" in err
    assert "\n500\n" not in err
    assert str(log) in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    with started(tmp_path / "log", f"sleep 1000 >{alive} & echo '[1/2]'; wait") as build, alive.open() as held:
        build.send_signal(number)
        build.communicate()
        assert build.returncode == 130
        assert held.read() == "", "its end comes when the last process that could write has gone"
