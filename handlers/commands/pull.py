"""`warmfn pull`."""

from __future__ import annotations

import argparse

from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "pull",
        help="fetch a model of the gallery",
        description="Fetch the files of gallery models into the models folder and check their SHA-256. What is there "
        "already and right is kept. The gallery is gallery.yaml in the models folder.",
    )
    command.add_argument("names", metavar="NAME", nargs="+", help="a model of the gallery")
    add_models_option(command)
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from core.store.gallery import read_gallery
    from core.store.pull import pull
    from handlers.progress import draw_progress

    gallery = read_gallery(arguments.models / "gallery.yaml")
    for name in arguments.names:
        with draw_progress() as progress:
            paths = pull(name, arguments.models, gallery, progress)
        print(f"{name}: {len(paths)} file{'s' * (len(paths) > 1)} in {arguments.models}")
    return 0
