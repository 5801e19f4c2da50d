"""`warmfn doctor`."""

from __future__ import annotations

import argparse
import json

from handlers.commands.options import Commands, add_models_option, find_model
from handlers.settings import Settings


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "doctor",
        help="examine models: their files and the prompts they make",
        description="Examine models without loading their weights: the files, and the prompts that the templates make "
        "of a few conversations, read with the model's own vocabulary. Finds messages that are dropped, a missing or "
        "double BOS, a missing generation cue, answers that nothing would end, control tokens of another model, and "
        "differences from the template inside the weights. Tells, too, where this CPU is slow with a file's "
        "quantization. The exit status is 1 if a model cannot be used.",
    )
    command.add_argument("names", metavar="MODEL", nargs="*", help="a model of the folder (default: all)")
    add_models_option(command)
    command.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")
    command.add_argument("--json", action="store_true", help="one JSON object for each model, line by line")
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from core.config.folder import read_folder
    from core.doctor import examine

    folder = read_folder(arguments.models, Settings.from_environ().folder_defaults)
    for name in arguments.names:
        find_model(folder, name)
    is_well = True
    for diagnosis in examine(folder, arguments.names):
        is_well = is_well and (not diagnosis.problems if arguments.strict else diagnosis.is_fit)
        if arguments.json:
            print(json.dumps(diagnosis.as_json()), flush=True)
            continue
        is_quiet = not diagnosis.problems and not diagnosis.advice
        print(f"{diagnosis.model or 'other files'}{': nothing found' if is_quiet else ''}", flush=True)
        for problem in diagnosis.problems:
            print(f"  {problem.severity}: {problem}", flush=True)
        for advice in diagnosis.advice:
            print(f"  advice: {advice}", flush=True)
    return int(not is_well)
