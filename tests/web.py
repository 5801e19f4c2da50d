"""A web server on 127.0.0.1 that serves files in memory, with Range and If-Range, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Web:
    """`files` by path; `answers` are what is said of a path instead of a file.

    `faults` are used up one by one, each by one GET, before anything is served as it should be.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    faults: list[Callable[[Handler], None]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    etags: bool = True

    def __enter__(self) -> Self:
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"web": self}))
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def ranges(self) -> list[str | None]:
        """The Range of each GET."""
        return [one.headers.get("range") for one in self.asked if one.method == "GET"]


class Handler(BaseHTTPRequestHandler):
    web: Web

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._note()
        self.serve()

    def do_GET(self) -> None:
        self._note()
        with suppress(ConnectionError):
            if self.web.faults:
                self.web.faults.pop(0)(self)
            else:
                self.serve()

    def serve(self, *, ranges: bool = True, body: slice | None = None) -> None:
        """Answer as a good server does; `body` is the part of it that is really sent."""
        if self.path in self.web.answers:
            return self.status(*self.web.answers[self.path])
        data = self.web.files.get(self.path.partition("?")[0])
        if data is None:
            return self.status(404)
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        start = self._start(etag) if ranges else 0
        if start > 0 and start >= len(data):
            return self.status(416)
        headers = {"Content-Length": str(len(data) - start)} | self.web.headers.get(self.path, {})
        if self.web.etags:
            headers["ETag"] = etag
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.status(206 if start else 200, headers)
        if self.command == "GET":
            self.wfile.write(data[start:][body or slice(None)])

    def status(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": "0"} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    def _start(self, etag: str) -> int:
        wanted = self.headers.get("Range")
        is_same = self.headers.get("If-Range", etag) == etag
        return int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and is_same else 0

    def _note(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.web.asked.append(Asked(self.command, self.path, headers))


def truncate(handler: Handler) -> None:
    """Half of what was announced, then the end."""
    handler.serve(body=slice(0, 1000))


def stall(handler: Handler) -> None:
    """A start, then nothing until the test is over."""
    handler.serve(body=slice(0, 1000))
    handler.wfile.flush()
    handler.web.closing.wait(30)


def ignore_range(handler: Handler) -> None:
    handler.serve(ranges=False)


def answer(status: int, headers: dict[str, str] | None = None) -> Callable[[Handler], None]:
    return lambda handler: handler.status(status, headers)
