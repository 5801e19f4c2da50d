"""The files that images are made from: clean by their linters' standards, and alike where they should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_forbids_no_download(name: str) -> None:
    """PULL_MODELS would get nothing from a hub. Loading never downloads, in an image or elsewhere."""
    assert "HF_HUB_OFFLINE" not in (ROOT / name).read_text()


def test_compose_passes_on_what_to_pull_and_runs_as_a_user_who_can_write_it() -> None:
    for service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values():
        assert {"PULL_MODELS", "HF_TOKEN"} <= service["environment"].keys()
        assert service["user"] == "${USER_ID:-1000}:${GROUP_ID:-1000}"
        assert service["environment"]["HOME"] == "/tmp"


def test_a_source_deployment_uploads_the_weights_and_what_runs_them_only(tmp_path: Path) -> None:
    """gcloud reads .gcloudignore as git reads .gitignore."""
    uploaded = {"core/engine/slots.py", "handlers/asgi.py", "requirements.txt", "constraints.txt"}
    uploaded |= {"models/a.yaml", "models/a.gguf", "models/a/model.safetensors", "models/gallery.yaml"}
    left = {".venv/a.py", "tests/test_a.py", "core/__pycache__/a.pyc", "models/.a.gguf.part", "README.md"}
    for name in uploaded | left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "ls-files", "--others", f"--exclude-from={ROOT / '.gcloudignore'}"]
    assert set(subprocess.check_output(command, cwd=tmp_path, text=True).split()) == uploaded


def test_the_build_context_holds_what_the_dockerfiles_copy() -> None:
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"core", "handlers", "scripts", "pyproject.toml", "constraints.txt", "README.md"} <= admitted
    assert all(list(ROOT.glob(pattern)) for pattern in admitted)
