"""`warmfn add`."""

from __future__ import annotations

import argparse

from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "add",
        help="make a model of any weights",
        description="Bring weights into the models folder and write a YAML for them: context, quantization, chat "
        "template, stop strings and memory are read from the file's header. A local file outside the folder is copied; "
        "one that is in it is taken as it is. No YAML is ever overwritten.",
    )
    command.add_argument(
        "source", metavar="URL_OR_FILE", help="a path, https://..., hf:OWNER/REPO/FILE.gguf[@REVISION], github:..."
    )
    command.add_argument("--name", help="the model's name (default: the file's, in lower case)")
    add_models_option(command)
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from core.store.add import add
    from handlers.progress import draw_progress, explained_interrupt, report_pulled

    with explained_interrupt(arguments.models), draw_progress() as progress:
        added = add(arguments.source, arguments.models, arguments.name, progress)
    report_pulled(added.pulled)
    print(f"{added.config}:\n{added.config.read_text('utf-8')}")
    return 0
