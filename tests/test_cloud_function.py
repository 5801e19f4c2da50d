"""The targets as functions-framework runs them, with models that need no weights, and on a file system that is not
ours to write on."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving import eventually, free_port

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "handlers/cloud_function.py"
FRAMEWORK = ["functions_framework", "--source", str(SOURCE), "--host", "127.0.0.1"]
UVICORN = ["uvicorn", "functions_framework.aio:app", "--host", "127.0.0.1"]

READ_ONLY = {"cwd": Path("/sys"), "home": "/proc"}
"""Places where not even root may write."""


@contextmanager
def host(command: list[str], *, cwd: Path = ROOT, **environ: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of a process that listens, and the process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)],
        cwd=cwd,
        env={**os.environ, "FUNCTION_SOURCE": str(SOURCE), "DEBUG": "", **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert eventually(lambda: is_alive(url), 20)
        yield url, process
    finally:
        process.terminate()
        process.communicate(timeout=40)


def is_alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def complaint(url: str, body: dict[str, object]) -> str:
    response = httpx.post(url, json=body, timeout=10)
    assert response.status_code == 400
    return str(response.json()["error"]["message"])


@pytest.mark.parametrize(("target", "field"), [("chat", "messages"), ("embeddings", "input")])
@pytest.mark.parametrize("path", ["", "/", "/v1/completions", "/any/where"])
def test_the_targets_of_one_route_take_a_post_on_any_path(
    targets: dict[str, str], target: str, field: str, path: str
) -> None:
    assert complaint(targets[target] + path, {}).startswith(f"{field}: ")


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URL of each."""
    folder = str(tmp_path_factory.mktemp("models"))
    with (
        host(UVICORN, FUNCTION_TARGET="chat", MODELS_PATH=folder) as (chat, _),
        host(UVICORN, FUNCTION_TARGET="embeddings", MODELS_PATH=folder) as (embeddings, _),
    ):
        yield {"chat": chat, "embeddings": embeddings}


def test_whatever_is_no_post_is_as_in_the_whole_surface(targets: dict[str, str]) -> None:
    for url in targets.values():
        assert httpx.get(f"{url}/v1/models").json()["data"] == []
        assert "warmfn_cold_start_seconds" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/nowhere").status_code == 404


def test_neither_gunicorn_nor_we_need_a_place_to_write(tmp_path: Path) -> None:
    environ = {"FUNCTION_TARGET": "openai", "MODELS_PATH": str(tmp_path), "HOME": READ_ONLY["home"]}
    environ["XDG_RUNTIME_DIR"] = ""
    with host(FRAMEWORK, cwd=READ_ONLY["cwd"], **environ) as (url, process):
        assert "no model here can answer" in complaint(f"{url}/v1/embeddings", {"input": "x"})
    assert process.returncode == 0


def test_what_a_source_deployment_installs_is_what_we_depend_on() -> None:
    """Google's buildpack reads this file alone, and adds its own functions-framework where it is not named in it."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [line for line in lines if line and not line.startswith(("#", "-"))] == wanted
    assert "--constraint constraints.txt" in lines
