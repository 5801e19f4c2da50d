"""The same function under each host, as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving import eventually, free_port

pytestmark = pytest.mark.weights

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "handlers/cloud_function.py"
ASK = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Hi!"}], "max_tokens": 8}


@pytest.fixture(scope="module")
def text_models(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only the text model: it loads within a second or two."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(models_folder / "smollm2-135m-instruct.yaml", folder)
    weights = "SmolLM2-135M-Instruct.Q4_1.gguf"
    os.link(models_folder / weights, folder / weights) if same_disk(models_folder, folder) else shutil.copy(
        models_folder / weights, folder / weights
    )
    return folder


def same_disk(a: Path, b: Path) -> bool:
    return a.stat().st_dev == b.stat().st_dev


@contextmanager
def host(models: Path, command: list[str], port: int, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its URL, once it is ready."""
    variables = {**os.environ, "MODELS_PATH": str(models), "FUNCTION_TARGET": "openai", "FUNCTION_SOURCE": str(SOURCE)}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=variables | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert eventually(lambda: is_ready(url), 20)
        yield process, url
    finally:
        process.terminate()
        process.wait(40)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def chat(url: str) -> dict[str, object]:
    response = httpx.post(f"{url}/v1/chat/completions", json=ASK, timeout=30)
    assert response.status_code == 200
    return dict(response.json())


def streams_and_notices_disconnects(url: str) -> None:
    ask = {**ASK, "stream": True, "max_tokens": 4000, "ignore_eos": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=ask, timeout=30) as response:
        lines = response.iter_lines()
        assert [next(lines)[:6] for _ in range(4)] == ["data: ", "", "data: ", ""]
        assert running(url) == 1
    assert eventually(lambda: running(url) == 0)


def running(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("warmfn_running_sequences"))


@pytest.mark.parametrize("debug", ["", "true"])
def test_functions_framework_serves_after_its_fork(text_models: Path, debug: str) -> None:
    """Its CLI forks after importing our module; with DEBUG it serves in the same process and must not load twice."""
    port = free_port()
    command = ["functions_framework", "--target", "openai", "--source", str(SOURCE), "--host", "127.0.0.1"]
    with host(text_models, [*command, "--port", str(port)], port, DEBUG=debug) as (_, url):
        chat(url)
        streams_and_notices_disconnects(url)
        assert "Werkzeug" not in httpx.get(f"{url}/console").text


def test_functions_framework_ends_what_still_runs_when_its_time_to_drain_is_over(text_models: Path) -> None:
    port = free_port()
    command = ["functions_framework", "--target", "openai", "--source", str(SOURCE), "--host", "127.0.0.1"]
    with host(text_models, [*command, "--port", str(port)], port, DEBUG="", WARMFN_DRAIN_SECONDS="1") as (process, url):
        ask = {**ASK, "stream": True, "max_tokens": 4000, "ignore_eos": True}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=ask, timeout=30) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert "shutting_down" in [line for line in lines if line][-1]
        assert process.wait(20) == 0


def test_weights_that_are_missing_are_pulled_at_start_where_the_environment_says_so(
    text_models: Path, tmp_path: Path
) -> None:
    name, source = ASK["model"], text_models / "SmolLM2-135M-Instruct.Q4_1.gguf"
    shutil.copy(text_models / f"{name}.yaml", tmp_path)
    entry = {"description": "a chat model", "license": "Apache-2.0", "files": [{"source": f"file:{source}"}]}
    (tmp_path / "gallery.yaml").write_text(json.dumps({name: entry}))
    port = free_port()
    command = ["handlers.cli", "serve", "--models", str(tmp_path), "--port", str(port)]
    with host(tmp_path, command, port, PULL_MODELS=str(name)) as (_, url):
        chat(url)


def test_uvicorn_serves_it_without_a_fork(text_models: Path) -> None:
    port = free_port()
    command = ["uvicorn", "functions_framework.aio:app", "--port", str(port)]
    with host(text_models, command, port) as (_, url):
        chat(url)
        streams_and_notices_disconnects(url)


def test_serve_drains_running_streams_on_sigterm_and_exits_0(text_models: Path) -> None:
    port = free_port()
    command = ["handlers.cli", "serve", "--models", str(text_models), "--port", str(port)]
    with host(text_models, command, port) as (process, url):
        ask = {**ASK, "stream": True, "max_tokens": 60, "ignore_eos": True}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=ask, timeout=30) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert "data: [DONE]" in list(lines)
        assert process.wait(20) == 0


def test_serve_names_a_port_that_is_taken_and_a_folder_that_is_missing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "handlers.cli", "serve", "--models", str(tmp_path), "--port", port]
        taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert taken.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}" in taken.stderr
    command = [sys.executable, "-m", "handlers.cli", "serve", "--models", str(tmp_path / "nope"), "--port", port]
    missing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert missing.returncode != 0
    assert "nope is not a folder" in missing.stderr
    assert "Traceback" not in missing.stderr
