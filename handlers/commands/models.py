"""`warmfn models`."""

from __future__ import annotations

import argparse
import sys

from core.config.folder import read_folder
from core.errors import CoreError
from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "models",
        help="list a models folder",
        description="List the models of a folder and every problem with its files. Loads nothing. The exit status is 1 "
        "if a model cannot be served.",
    )
    add_models_option(command)
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    folder = read_folder(arguments.models)
    problems = [(problem.severity, str(problem)) for problem in folder.problems]
    for config in folder.configs.values():
        try:
            weights = str(config.weights.relative_to(folder.path))
        except CoreError as error:
            weights = "missing"
            problems.append(("error", error.message))
        print(f"{config.name:32} {config.backend or '-':22} {weights}")
    for severity, problem in problems:
        print(f"{severity}: {problem}", file=sys.stderr)
    return int(any(severity == "error" for severity, _ in problems))
