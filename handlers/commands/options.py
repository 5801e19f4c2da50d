"""What commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from core.config.folder import ModelsFolder
from core.config.model import ModelConfig
from core.errors import UnknownModel
from handlers.settings import models_path

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_models_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models",
        type=Path,
        default=models_path(),
        metavar="DIR",
        help="the models folder (default: $MODELS_PATH or ./models)",
    )


def find_model(folder: ModelsFolder, name: str) -> ModelConfig:
    """Raises UnknownModel."""
    if name not in folder.configs:
        raise UnknownModel(f"there is no model {name!r} in {folder.path}: see `warmfn models`")
    return folder.configs[name]
