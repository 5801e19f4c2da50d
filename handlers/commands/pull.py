"""`warmfn pull`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import CoreError
from handlers.commands.gallery_list import show_gallery
from handlers.commands.options import Commands, add_models_option

if TYPE_CHECKING:
    from core.store.pull import Pulled


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "pull",
        help="fetch a model of the gallery, or a file",
        description="Fetch the files of gallery models, or single files, into the models folder and check their "
        "SHA-256 where one is known. What is there already and right is kept; a download that broke off is gone on "
        "from. The gallery is gallery.yaml in the models folder.",
    )
    command.add_argument(
        "names",
        metavar="NAME_OR_SOURCE",
        nargs="*",
        help="a model of the gallery, or hf:OWNER/REPO/FILE[@REVISION], https://..., github:OWNER/REPO/PATH@BRANCH, "
        "file:PATH; HF_TOKEN and HF_ENDPOINT are honoured",
    )
    command.add_argument("--list", action="store_true", help="show what the gallery has, and fetch nothing")
    command.add_argument("--json", action="store_true", help="with --list: as JSON")
    add_models_option(command)
    command.set_defaults(command=_run, usage_error=command.error)


def _run(arguments: argparse.Namespace) -> int:
    if bool(arguments.names) == arguments.list or (arguments.json and not arguments.list):
        arguments.usage_error("give models or sources to fetch, or --list, which --json goes with")
    if arguments.list:
        show_gallery(arguments.models, as_json=arguments.json)
        return 0
    # One that fails does not keep the others from their files.
    failures = [name for name in arguments.names if not _pull_and_report(name, arguments.models)]
    return int(bool(failures))


def _pull_and_report(name: str, models: Path) -> bool:
    from handlers.progress import explained_interrupt, report_pulled

    try:
        with explained_interrupt(models):
            pulled = _pull(name, models)
        report_pulled(pulled)
        faults = [fault for file in pulled if (fault := _fault(file.path))]
    except CoreError as error:
        subject = "" if name in error.message else f"{name}: "
        print(f"warmfn: {subject}{error.message}", file=sys.stderr)
        return False
    for fault in faults:
        print(f"warmfn: {name}: {fault}", file=sys.stderr)
    return not faults


def _fault(path: Path) -> str | None:
    """Why a file that is called a GGUF is none."""
    from core.config.weight_files import gguf_fault

    return gguf_fault(path) if path.suffix.lower() == ".gguf" else None


def _pull(name: str, models: Path) -> list[Pulled]:
    from core.store.gallery import read_gallery
    from core.store.pull import pull, pull_source
    from handlers.progress import draw_progress

    with draw_progress() as progress:
        if ":" in name:
            return [pull_source(name, models, progress)]
        return pull(name, models, read_gallery(models / "gallery.yaml"), progress)
