"""Which processes are a server's, and that others which are busy are told."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.doubts.machine import doubts_of_machine
from bench.sample import HostUse
from bench.targets.given_server import GivenServer

USED = 0.3
SERVER = f"""
import socket, subprocess, sys, time
server = socket.create_server(("127.0.0.1", 0))
worker = "import sys, time\\nwhile time.process_time() < {USED}: pass\\nprint(flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(server.getsockname()[1], flush=True)
sys.stdin.read()
child.communicate()
"""
"""Its child has computed for so many seconds when it tells its port."""


@contextmanager
def serving() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


def test_a_server_is_who_listens_and_its_children() -> None:
    with serving() as url:
        server = GivenServer(url)
        seconds = server.cpu_seconds()
        assert seconds is not None
        assert seconds >= USED - 0.02, "the kernel counts in hundredths"
    assert server.cpu_seconds() is None, "it has gone, and what it used with it"


def test_a_server_elsewhere_uses_nothing_of_this_host() -> None:
    assert GivenServer("http://192.0.2.1/v1").cpu_seconds() == 0.0


def test_a_server_whose_processes_cannot_be_seen_is_unknown() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # and nobody listens
        assert GivenServer(f"http://127.0.0.1:{probe.getsockname()[1]}").cpu_seconds() is None


def test_what_this_process_serves_itself_is_the_clients() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert GivenServer(f"http://127.0.0.1:{server.getsockname()[1]}").cpu_seconds() == 0.0


@pytest.mark.parametrize(
    ("target", "neighbours", "is_doubted"),
    [
        (1.5, 0.05, False),
        (1.5, 0.3, True),
        (None, None, False),
        (0.0, 0.3, False),
        (0.0, 1.2, True),
    ],
    ids=["quiet", "busy", "unknown", "elsewhere", "elsewhere, and too little left for the client"],
)
def test_neighbours_are_doubted_by_whom_they_slow_down(
    target: float | None, neighbours: float | None, is_doubted: bool
) -> None:
    use = HostUse(client=0.1, target=target, idle_targets=0.0, neighbours=neighbours, steal=0.0, num_cores=2)
    assert [flag.code for flag in doubts_of_machine([use, use])] == ["neighbours"] * is_doubted
