"""What commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_models_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH") or "models"),
        metavar="DIR",
        help="the models folder (default: $MODELS_PATH or ./models)",
    )
