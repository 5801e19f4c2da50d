"""A server that plays scripts and tells when it really wrote what: `python -m bench.calibrate.server`.

Its first line of output is its port. The request's model names the script. When a reply has ended, one line of JSON
tells the moments (perf_counter_ns, which every process of a Linux host counts from the same one): so a busy machine
that wakes the server late does not count as the client's error. It ends with its standard input.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from time import perf_counter_ns

from bench.calibrate.scripts import SCRIPTS, Script

BY_NAME = {script.name: script for script in SCRIPTS}


class Player(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        length = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.lower().partition(b":")
            length = int(value) if name == b"content-length" else length
        body = json.loads(self.rfile.read(length))
        arrived = perf_counter_ns()
        script = BY_NAME[body["model"]]
        self._head(script)
        texts = list(self._play(script, arrived))
        ended = perf_counter_ns()
        self.wfile.write(b"0\r\n\r\n")
        log = {"prompt": body["messages"][0]["content"], "arrived": arrived, "texts": texts, "ended": ended}
        sys.stdout.write(json.dumps(log) + "\n")  # one write, so that threads do not mix their lines
        sys.stdout.flush()

    def _head(self, script: Script) -> None:
        fields = (("Transfer-Encoding", "chunked"), ("Connection", "close"), *script.headers)
        lines = [f"HTTP/1.1 {script.status} X", *(f"{name}: {value}" for name, value in fields), "", ""]
        self.wfile.write("\r\n".join(lines).encode())

    def _play(self, script: Script, arrived: int) -> Iterator[int]:
        """Write every step when it is due; the moments at which text was complete."""
        due = float(arrived)
        for step in script.steps:
            due += step.wait_ms * 1e6
            time.sleep(max(0.0, (due - perf_counter_ns()) / 1e9))
            now = perf_counter_ns()
            if step.data:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(step.data), step.data))
            if step.tokens:
                yield now


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64  # by default a burst of clients waits a second for TCP to try again
    address_family = socket.AF_INET


def main() -> None:
    with Server(("127.0.0.1", 0), Player) as server:
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main()
