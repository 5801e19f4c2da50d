"""The Ray Serve deployment for real: two replicas, one of which is killed while streams run."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.serving import eventually

pytestmark = [
    pytest.mark.extended,
    pytest.mark.weights,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs `pip install 'ray[serve]'` (500 MB)"),
]

ROOT = Path(__file__).parents[1]
URL = "http://127.0.0.1:8000"
CLIENTS = 4
ASK = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "Tell a story."}],
    "max_tokens": 48,
    "ignore_eos": True,
    "stream": True,
}
MARK = "WARMFN_TEST_RUN"


@dataclass
class Load:
    """Clients that ask again and again. `ends` holds for each stream, in order of its end, whether it was whole."""

    ends: list[bool] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Load]:
        threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def further(self, count: int, seconds: float = 60) -> bool:
        """Whether `count` more streams end."""
        wanted = len(self.ends) + count
        return eventually(lambda: len(self.ends) >= wanted, seconds)

    def _ask_on(self) -> None:
        while not self.stopped.is_set():
            self.ends.append(is_whole_stream())


def is_whole_stream() -> bool:
    try:
        with httpx.stream("POST", f"{URL}/v1/chat/completions", json=ASK, timeout=30) as response:
            lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    except httpx.HTTPError:
        return False
    if response.status_code != 200 or lines[-1:] != ["data: [DONE]"]:
        return False
    return any(choice["finish_reason"] == "length" for line in lines[:-1] for choice in json.loads(line[6:])["choices"])


def replicas(run: str) -> set[int]:
    """Processes of this test's cluster that hold a replica."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = (path / "environ").read_bytes(), (path / "cmdline").read_bytes()
        except OSError:  # it ended, or is another user's
            continue
        if f"{MARK}={run}".encode() in environ and command.startswith(b"ray::ServeReplica"):
            found.add(int(path.name))
    return found


@contextmanager
def cluster(models: Path, home: Path) -> Iterator[str]:
    """`serve run` as a user would; the mark that its processes carry."""
    run = uuid4().hex
    ours = {
        MARK: run,
        "HOME": str(home),
        "MODELS_PATH": str(models),
        "THREADS": "1",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [str(Path(sys.executable).with_name("serve")), "run", "deploy.ray_serve:app"]
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | ours, stdout=log, stderr=log)
        try:
            assert eventually(is_ready, 90), (home / "serve.log").read_text()[-4000:]
            yield run
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def is_ready() -> bool:
    try:
        return httpx.get(f"{URL}/ready").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def text_models(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("smollm2-135m-instruct.yaml", "SmolLM2-135M-Instruct.Q4_1.gguf"):
        shutil.copy(models_folder / name, folder)
    return folder


@pytest.mark.timeout(400)
def test_a_killed_replica_costs_its_own_streams_and_is_replaced(text_models: Path, tmp_path: Path) -> None:
    with cluster(text_models, tmp_path) as run:
        assert eventually(lambda: len(replicas(run)) == 2, 30)
        before = replicas(run)
        with Load().running() as load:
            assert load.further(2 * CLIENTS)
            assert all(load.ends)
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            assert load.further(2 * CLIENTS), "the other replica goes on"
            assert eventually(lambda: len(replicas(run) - {killed}) == 2, 60), "Ray starts another one"
            mended = len(load.ends)
            assert load.further(4 * CLIENTS)
        assert load.ends.count(False) <= CLIENTS, "only what ran on it is broken"
        assert all(load.ends[mended:])
    assert eventually(lambda: not replicas(run), 30), "nothing is left behind"
