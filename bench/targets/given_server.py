"""The processes of a server that runs already: those that listen on its port, and all that they have started."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from bench.host import PROC, Process, processes

LISTENING = "0A"
"""The state of a socket in /proc/net/tcp."""
FORWARDERS = ("docker-proxy", "rootlessport", "slirp4netns", "conmon")
"""They hold a port for a container, whose processes are others."""


class GivenServer:
    """`url` is its address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._is_here = is_here(url)
        self._roots: frozenset[int] | None = None

    def cpu_seconds(self) -> float | None:
        """Used so far by its processes: none of this host if it is elsewhere. None where it is on this host and its
        processes are not ours to see, or no longer those that they were. This process, and what it has started, are
        the client's even if it listens itself."""
        if not self._is_here:
            return 0.0
        alive = processes()
        if self._roots is None:
            self._roots = frozenset(_listeners(self._port, alive))
        if not self._roots or not self._roots <= {process.pid for process in alive}:
            return None
        others = [process for process in alive if process.pid != os.getpid()]
        return sum(process.cpu_seconds for process in _with_children(self._roots, others))


def is_here(url: str) -> bool:
    """Whether it names this host: only an address of its own can be bound."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname or "", 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(_can_be_bound(family, address) for family, _, _, _, address in found)


def _can_be_bound(family: int, address: tuple[object, ...]) -> bool:
    with socket.socket(family) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def _listeners(port: int, alive: Sequence[Process]) -> Iterator[int]:
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in alive:
        if process.name not in FORWARDERS and wanted & set(_open_files(process.pid)):
            yield process.pid


def _listening_inodes(port: int) -> Iterator[str]:
    """From the fields of /proc/net/tcp and tcp6 (proc(5)): local address, state, inode."""
    for path in PROC.glob("net/tcp*"):
        for line in path.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _open_files(pid: int) -> Iterator[str]:
    """None of a process that is not ours to see, or has ended meanwhile."""
    for descriptor in PROC.glob(f"{pid}/fd/*"):
        with suppress(OSError):
            yield os.readlink(descriptor)


def _with_children(roots: frozenset[int], alive: Sequence[Process]) -> list[Process]:
    family = set(roots) & {process.pid for process in alive}
    while grown := {process.pid for process in alive if process.parent in family} - family:
        family |= grown
    return [process for process in alive if process.pid in family]
