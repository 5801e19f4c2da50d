"""The wheel of the images: every CPU library in it computes the same, and a processor that suits none is told so."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from tests.parity.forced import BOUND, MEDIAN_BOUND

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[1]
MADE_FROM = ("scripts/build_llama_wheel.sh", "scripts/gcc_amx.h", "scripts/ggml.cmake")
CPU_LIBRARIES = (
    *("x64", "sse42", "sandybridge", "ivybridge", "piledriver", "haswell", "skylakex", "cannonlake", "cascadelake"),
    *("icelake", "cooperlake", "zen4", "alderlake", "sapphirerapids"),
)


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Compiled in 8 minutes on 2 cores, and kept in WARMFN_TEST_WHEELS or the user's cache while its sources stay."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "warmfn/wheels"
    made_from = b"".join((ROOT / name).read_bytes() for name in MADE_FROM)
    name = f"{version('llama-cpp-python')}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    folder = Path(os.environ.get("WARMFN_TEST_WHEELS", cache)) / name
    if not list(folder.glob("*.whl")):
        command = [str(ROOT / MADE_FROM[0]), "portable", str(folder)]
        subprocess.run(command, env=os.environ | {"PYTHON": sys.executable}, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH, where this llama_cpp comes before the one that the tests themselves use."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run(install, check=True)
    return folder


def known_tokens(models_folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.parity.known_tokens", str(models_folder)]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, cwd=ROOT)


def compile_library(source: str, library: Path, *options: str) -> None:
    command = ["cc", "-shared", "-x", "c", "-", "-x", "none", *options, "-o", str(library)]
    subprocess.run(command, input=source, text=True, check=True)


@pytest.fixture(scope="session")
def native(models_folder: Path) -> list[float]:
    """What the llama.cpp that was compiled for this machine finds."""
    done = known_tokens(models_folder, {})
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout)["logprobs"]
    return found


def test_the_wheel_holds_each_library_once(wheel: Path) -> None:
    libraries = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".so" in name]
    assert {library.parent for library in libraries} == {Path("llama_cpp/lib")}
    assert {library.suffix for library in libraries} == {".so"}
    names = {library.name for library in libraries}
    assert names - {f"libggml-cpu-{name}.so" for name in CPU_LIBRARIES} == {
        "libllama.so",
        "libggml.so",
        "libggml-base.so",
    }


@pytest.mark.weights
@pytest.mark.parametrize("name", CPU_LIBRARIES)
def test_a_cpu_library_agrees_with_a_native_build_or_is_refused(
    site: Path, models_folder: Path, native: list[float], tmp_path: Path, name: str
) -> None:
    shutil.copy(site / f"llama_cpp/lib/libggml-cpu-{name}.so", tmp_path)
    done = known_tokens(models_folder, {"PYTHONPATH": str(site), "WARMFN_GGML_DIR": str(tmp_path)})
    if done.returncode:
        assert done.returncode == 1
        assert f"runs on this processor (there is {name})" in done.stderr
        return
    found = json.loads(done.stdout)
    assert found["backend"] == f"CPU ({name})"
    differences = np.abs(np.subtract(found["logprobs"], native))
    assert differences.max() < BOUND
    assert np.median(differences) < MEDIAN_BOUND


@pytest.mark.weights
def test_a_library_that_suits_is_found_without_being_named(site: Path, models_folder: Path) -> None:
    done = known_tokens(models_folder, {"PYTHONPATH": str(site)})
    assert json.loads(done.stdout)["backend"] in [f"CPU ({name})" for name in CPU_LIBRARIES]


@pytest.mark.weights
def test_a_processor_that_suits_no_library_is_told_what_there_is(
    site: Path, models_folder: Path, tmp_path: Path
) -> None:
    """A library says by its score whether the processor has the instructions that it uses."""
    compile_library("int ggml_backend_score(void) { return 0; }", tmp_path / "libggml-cpu-tomorrow.so")
    done = known_tokens(models_folder, {"PYTHONPATH": str(site), "WARMFN_GGML_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert "runs on this processor (there is tomorrow)" in done.stderr
    assert "build_llama_wheel.sh portable" in done.stderr


@pytest.mark.weights
def test_without_a_driver_the_gpu_image_computes_on_the_cpu_and_says_so(
    site: Path, models_folder: Path, tmp_path: Path
) -> None:
    libraries = tmp_path / "lib"
    shutil.copytree(site / "llama_cpp/lib", libraries)
    driver = tmp_path / "driver.so"
    compile_library("", driver, "-Wl,-soname,libcuda.so.absent")
    compile_library("", libraries / "libggml-cuda.so", "-Wl,--no-as-needed", str(driver))
    done = known_tokens(models_folder, {"PYTHONPATH": str(site), "WARMFN_GGML_DIR": str(libraries)})
    assert "finds no driver or no card" in done.stderr
    assert json.loads(done.stdout)["backend"].startswith("CPU (")


@pytest.fixture(scope="session")
def image(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/opt/warmfn as the images' stages make it, from a copy of what .dockerignore admits."""
    folder = tmp_path_factory.mktemp("image")
    source, venv, code = (folder / name for name in ("build", "venv", "code"))
    for name in ("bench", "core", "handlers", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for name in ("constraints.txt", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    environ = os.environ | {"PYTHON": sys.executable}
    subprocess.run([source / "scripts/install_packages.sh", venv, wheel.parent], env=environ, check=True)
    subprocess.run([source / "scripts/install_warmfn.sh", venv, code], check=True)
    shutil.copytree(code / venv.relative_to("/"), venv, dirs_exist_ok=True)
    shutil.rmtree(source)
    return folder


@pytest.mark.weights
def test_an_image_serves_the_model_that_is_baked_into_it(image: Path, models_folder: Path) -> None:
    models = image / "models"
    models.mkdir()
    environ = os.environ | {
        "PATH": f"{image / 'venv/bin'}:{os.environ['PATH']}",
        "MODELS_PATH": str(models),
        "PORT": "0",
    }
    kept = image / "kept"
    bake = [ROOT / "scripts/bake_models.sh", ROOT / "models", kept, models, "smollm2-135m-instruct"]
    (kept / bake[-1]).mkdir(parents=True)
    shutil.copy(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf", kept / bake[-1])
    subprocess.run(bake, env=environ, check=True)
    command = [image / "venv/bin/python", "-m", "handlers.start"]
    with subprocess.Popen(command, env=environ, cwd=image, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = b"".join(takewhile(lambda line: line != b"Try:\n", process.stdout)).decode()
        process.terminate()
    assert "smollm2-135m-instruct  text  ready" in output
    assert "llama.cpp computes on CPU (" in output
    assert "compiled in" not in output
