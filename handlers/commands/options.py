"""What commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

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
