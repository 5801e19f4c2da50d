"""`python -m bench.micro.cold MODELS NAME`: load one model, warm it up, end."""

from __future__ import annotations

import sys
from pathlib import Path

from core.config.folder import read_folder
from core.runners.backends import load_runner


def main(models: str, name: str) -> None:
    runner = load_runner(read_folder(Path(models)).configs[name])
    runner.warm()
    runner.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
