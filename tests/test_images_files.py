"""The files that images are made from: clean by their linters' standards, and alike where they should be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.small_gguf import write_gguf
from tests.web import Web

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
def test_a_change_of_the_code_leaves_packages_and_models_as_they_are(name: str) -> None:
    text = (ROOT / name).read_text()
    [packages] = re.findall(r"^FROM base AS packages$(.*?)^FROM ", text, re.MULTILINE | re.DOTALL)
    copied = [source for line in re.findall(r"^COPY (.*)$", packages, re.MULTILINE) for source in line.split()[:-1]]
    assert set(copied) == {
        *("constraints.txt", "pyproject.toml", "scripts/install_packages.sh"),
        *("--from=llama-wheel", "/wheels"),
    }
    *_, image = text.split("\nFROM base\n")
    large = [line for line in image.splitlines() if "--from=packages" in line or "--from=models" in line]
    assert all(line.startswith("COPY --link ") for line in large)
    assert image.splitlines()[-1] == large[-1], "the models are the last layer"


def bake(folder: Path, *models: str) -> None:
    """Into folder/baked, from the examples and the cache beside it."""
    (folder / "baked").mkdir()
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [ROOT / "scripts/bake_models.sh", folder / "examples", folder / "kept", folder / "baked", *models]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)


def test_what_was_fetched_for_one_image_is_not_fetched_for_the_next(tmp_path: Path) -> None:
    examples, source = tmp_path / "examples", tmp_path / "one.gguf"
    examples.mkdir()
    write_gguf(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    file = {"source": f"file:{source}", "sha256": digest}
    entry = {"description": "a model", "license": "MIT", "files": [file]}
    (examples / "gallery.yaml").write_text(json.dumps({"one": entry}))
    (examples / "one.yaml").write_text("parameters: {model: one.gguf}")
    (examples / "a.tmpl").write_text("{{.Input}}")
    bake(tmp_path, "one")
    shutil.rmtree(tmp_path / "baked")
    source.unlink()
    bake(tmp_path, "one")
    baked = {path.name for path in (tmp_path / "baked").iterdir() if not path.name.startswith(".")}
    assert baked == {"gallery.yaml", "one.yaml", "a.tmpl", "one.gguf"}


def test_a_model_by_its_address_is_fetched_once_and_its_yaml_written_anew(tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "one.gguf").read_bytes()
    (tmp_path / "examples").mkdir()
    with Web({"/one.gguf": weights}) as web:
        bake(tmp_path, f"{web.url}/one.gguf")
        shutil.rmtree(tmp_path / "baked")
        [config] = tmp_path.glob("kept/*/one.yaml")
        config.write_text("by an older version")
        bake(tmp_path, f"{web.url}/one.gguf")
        assert len(web.ranges()) == 1
    assert (tmp_path / "baked/one.gguf").read_bytes() == weights
    assert "older" not in (tmp_path / "baked/one.yaml").read_text()


def test_an_image_without_models_has_all_that_is_needed_to_pull_some(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "models")
    bake(tmp_path)
    baked = {path.name for path in (tmp_path / "baked").iterdir()}
    assert {"gallery.yaml", "smollm2-135m-instruct.yaml", "phi-2-chat.tmpl"} <= baked


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
