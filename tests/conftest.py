"""Fixtures: real weights, fetched once, and a server on a real socket."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.calibrate.calibration import Calibration
from core.config.folder import read_folder
from core.service import Service
from core.store.gallery import read_gallery
from core.store.pull import pull
from tests.serving import Server

MODELS = Path(__file__).parents[1] / "models"
DEFAULT_MODELS = ("smollm2-135m-instruct", "all-minilm-l6-v2")


def copy_examples(folder: Path) -> None:
    """Put into `folder` what is committed in models/, without the weights that may lie beside it."""
    for file in (*MODELS.glob("*.yaml"), *MODELS.glob("*.tmpl")):
        shutil.copy(file, folder)


def pytest_configure() -> None:
    """What a shell starts in the background has SIGINT ignored, and so have its children: no Ctrl-C would end them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """llama_cpp leaves two null devices open; Python would complain of them after pytest's closing line."""
    if utils := sys.modules.get("llama_cpp._utils"):
        utils.outnull_file.close()
        utils.errnull_file.close()


@pytest.fixture(autouse=True)
def log_as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that ran in this process (`set_up_logging`) has its log to itself, and `caplog` would see nothing more."""
    monkeypatch.setattr(logging.getLogger("warmfn"), "handlers", [])
    monkeypatch.setattr(logging.getLogger("warmfn"), "propagate", True)


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> Calibration:
    """What every session of this process finds its client to be good for, without the three seconds that it takes."""
    known = Calibration(scripts=[], error_ms={"ttft_ms": 0.25, "itl_ms": 0.01})

    async def calibrate(folder: Path) -> Calibration:
        return known

    monkeypatch.setattr("bench.session.calibrate", calibrate)
    return known


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The two default models with their weights, in WARMFN_TEST_MODELS or the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "warmfn/models"
    folder = Path(os.environ.get("WARMFN_TEST_MODELS", cache))
    folder.mkdir(parents=True, exist_ok=True)
    gallery = read_gallery(MODELS / "gallery.yaml")
    for name in DEFAULT_MODELS:
        pull(name, folder, gallery)
        shutil.copy(MODELS / f"{name}.yaml", folder)
    return folder


@pytest.fixture(scope="session")
def real_service(models_folder: Path) -> Iterator[Service]:
    service = Service(read_folder(models_folder))
    service.registry.preload(service.folder.configs)
    for name in service.folder.configs:
        with service.registry.using(name):
            pass
    yield service
    service.close()


@pytest.fixture(scope="session")
def real_server(real_service: Service) -> Iterator[Server]:
    with Server(real_service) as server:
        yield server
