"""The files that images are made from: clean by their linters' standards, and alike where they should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")


def check(tool: str, *arguments: str) -> None:
    command = Path(sys.executable).with_name(tool)
    if not command.exists():
        pytest.skip(f"{tool} has no wheel for this machine")
    done = subprocess.run([command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_lints_clean(name: str) -> None:
    check("hadolint", name)


def test_the_compose_file_follows_the_compose_specification() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_both_images_run_in_the_same_way() -> None:
    cpu, gpu = ((ROOT / name).read_text().partition("PYTHONUNBUFFERED")[2] for name in DOCKERFILES)
    assert cpu == gpu


def test_the_build_context_holds_what_the_dockerfiles_copy() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"core", "handlers", "scripts", "pyproject.toml", "constraints.txt", "README.md"} <= admitted
    assert all(list(ROOT.glob(pattern)) for pattern in admitted)
