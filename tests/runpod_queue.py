"""RunPod's queue on 127.0.0.1, as a worker sees it: take, batch take, stream, stop, done, ping; slow or failing."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

POLL_SECONDS = 0.5
"""How long a question for jobs stays open; the platform's is longer, and a worker ends only between two."""


@dataclass
class Post:
    """One part of a stream, a word on the progress, or the result, of one job."""

    kind: str
    body: Any
    at: float


@dataclass
class RunpodQueue:
    """Each POST is answered after `ack_seconds`; the next `failures` POSTs of a stream are answered with 500."""

    ack_seconds: float = 0.0
    failures: int = 0
    posts: dict[str, list[Post]] = field(default_factory=lambda: defaultdict(list))
    raw: list[str] = field(default_factory=list)
    pings: list[dict[str, list[str]]] = field(default_factory=list)
    num_asked: int = 0

    def __enter__(self) -> Self:
        self._news = threading.Condition()
        self._jobs: list[Any] = []
        self._stops: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"queue": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def submit(self, asked: Any, job_id: str | None = None) -> str:
        """Queue a job; its id."""
        job_id = job_id or f"job-{uuid.uuid4().hex[:8]}"
        self.submit_raw({"id": job_id, "input": asked})
        return job_id

    def submit_raw(self, *jobs: Any) -> None:
        """Queue what the platform's queue may hold, in one go."""
        with self._news:
            self._jobs += jobs
            self._news.notify_all()

    def stop(self, job_id: str) -> None:
        with self._news:
            self._stops.append(job_id)
            self._news.notify_all()

    def result(self, job_id: str, seconds: float = 60.0) -> Any:
        """The job's end as the worker told it: {"output": [...]} or {"error": "..."}."""
        return self._wait(job_id, "done", seconds).body

    def first_part(self, job_id: str, seconds: float = 60.0) -> Post:
        return self._wait(job_id, "stream", seconds)

    def stream(self, job_id: str) -> list[Any]:
        """What came of the job's stream."""
        return [post.body["output"] for post in self.posts[job_id] if post.kind == "stream"]

    def environ(self) -> dict[str, str]:
        """What the platform sets for a worker."""
        url = f"http://127.0.0.1:{self._server.server_port}"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{url}/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{url}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{url}/job-stream/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_PING": f"{url}/ping/$RUNPOD_POD_ID",
            "RUNPOD_PING_INTERVAL": "1000",
            "RUNPOD_POD_ID": "worker",
            "RUNPOD_AI_API_KEY": "key",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    def take(self, count: int) -> list[Any]:
        """At most `count` jobs, as soon as there is one; none if none comes."""
        self.num_asked += 1
        with self._news:
            self._news.wait_for(lambda: self._jobs, POLL_SECONDS)
            taken, self._jobs = self._jobs[:count], self._jobs[count:]
        return taken

    def take_stops(self) -> list[str]:
        with self._news:
            self._news.wait_for(lambda: self._stops, POLL_SECONDS)
            taken, self._stops = self._stops, []
        return taken

    def receive(self, kind: str, job_id: str, text: str) -> bool:
        """Whether the POST counts."""
        time.sleep(self.ack_seconds)
        with self._news:
            self.raw.append(text)
            if kind == "stream" and self.failures:
                self.failures -= 1
                return False
            body = json.loads(text)
            kind = "progress" if body.get("status") == "IN_PROGRESS" else kind
            self.posts[job_id].append(Post(kind, body, time.monotonic()))
            self._news.notify_all()
        return True

    def _wait(self, job_id: str, kind: str, seconds: float) -> Post:
        def found() -> Post | None:
            return next((post for post in self.posts[job_id] if post.kind == kind), None)

        with self._news:
            post = self._news.wait_for(found, seconds)
        assert post, f"{job_id}: no {kind} within {seconds} s"
        return post


class _Handler(BaseHTTPRequestHandler):
    queue: RunpodQueue
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer would wait 40 ms for the client's acknowledgement of its headers

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        match url.path.split("/")[1]:
            case "job-take":
                jobs = self.queue.take(1)
                self._answer(200 if jobs else 204, jobs[0] if jobs else None)
            case "job-take-batch":
                jobs = self.queue.take(int(query["batch_size"][0]))
                self._answer(200 if jobs else 204, jobs or None)
            case "job-stop":
                stops = self.queue.take_stops()
                self._answer(200 if stops else 204, {"jobsToStop": stops} if stops else None)
            case "ping":
                self.queue.pings.append(query)
                self._answer(200, {})

    def do_POST(self) -> None:
        _, action, _, job_id = urlsplit(self.path).path.split("/")
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        counts = self.queue.receive(action.removeprefix("job-"), job_id, text)
        self._answer(200 if counts else 500, {})

    def log_message(self, format: str, *args: Any) -> None: ...

    def _answer(self, status: int, body: Any) -> None:
        encoded = b"" if body is None else json.dumps(body).encode()
        with suppress(ConnectionError):  # a job that is stopped takes its POST back
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)
