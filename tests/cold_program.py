"""A server of known timing, for cold starts: `python -m tests.cold_program PORT JSON`; see `Script`."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.bench_stub import DONE, ROLE, delta, event, usage


@dataclass(frozen=True)
class Script:
    """Seconds: it listens after `listens`, is ready `ready` later, and answers after `first`. With `dies` it ends when
    it should be ready or, with `dies_when_asked`, when the first request comes; with `fails` it never will be ready.
    `ledger` goes into the first reply."""

    listens: float = 0.0
    ready: float = 0.0
    first: float = 0.0
    dies: bool = False
    dies_when_asked: bool = False
    fails: bool = False
    ledger: dict[str, float] | None = None


class Program(ThreadingHTTPServer):
    def __init__(self, port: int, script: Script) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.script = script
        self.ready_at = time.monotonic() + script.ready
        self.ledger = script.ledger


class Handler(BaseHTTPRequestHandler):
    server: Program

    def do_GET(self) -> None:
        if self.server.script.fails:
            return self._send(503, b'{"status":"failed"}')
        self._send(200 if time.monotonic() >= self.server.ready_at else 503, b'{"status":"loading"}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.script.dies_when_asked:
            die("no memory left")
        time.sleep(self.server.script.first)
        timings = {"cold_start": self.server.ledger} if self.server.ledger else {}
        self.server.ledger = None
        if "input" in body:
            reply = {"data": [{"embedding": [0.0]}], "usage": {"prompt_tokens": 20}, "timings": timings}
            return self._send(200, json.dumps(reply).encode())
        self._send(200, ROLE + delta(content="a", finish="length") + event({"timings": timings}) + usage(40, 1) + DONE)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def die(words: str) -> None:
    print(words, flush=True)
    os._exit(7)


def main(port: str, script: str) -> None:
    known = Script(**json.loads(script))
    print(f"pid {os.getpid()}", flush=True)
    time.sleep(known.listens)
    if known.dies:
        die("the weights are gone")
    Program(int(port), known).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
