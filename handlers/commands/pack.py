"""`warmfn pack`."""

from __future__ import annotations

import argparse
from pathlib import Path

from handlers.commands.options import Commands, add_models_option, find_model
from handlers.settings import Settings

EPILOGUE = """\
prefixes, in the model's YAML, each in one of three forms:
  prefixes:
    - messages:                      # what chats begin with
        - role: system
          content: You answer questions about the handbook below. ...
    - file: handbook.txt             # a text in the models folder, as the model reads it
    - "Translate into French:\\n"

A pack is good for the weights, the llama.cpp and the cache it was made with: flash_attention, cache_type_*, swa_full,
rope_*, yarn_*, kv, and, where each slot has a cache of its own (kv: split), the number of slots. Set those keys where
they would come out otherwise on the machine that serves.
"""


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "pack",
        help="compute the beginnings of prompts once and keep them",
        description="Compute every prefix in the YAML of a model once, and keep its part of the KV cache in a file. A\n"
        "server that starts reads it back, in milliseconds, instead of computing it with the first request.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("name", metavar="MODEL", help="a text model of the folder whose YAML has `prefixes:`")
    add_models_option(command)
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where to write (default: prompt_cache_path, or WEIGHTS.packs beside the weights). Served is only what "
        "lies there, or in the folder that prompt_cache_path names",
    )
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from core.config.folder import read_folder
    from core.packer import make_packs

    folder = read_folder(arguments.models, Settings.from_environ().folder_defaults)
    for made in make_packs(find_model(folder, arguments.name), arguments.out):
        pack = made.pack
        print(
            f"{pack.header.source}: {len(pack.tokens)} tokens, {pack.num_bytes / 1e6:.1f} MB in {pack}\n"
            f"  computed in {made.prefill_seconds:.3f} s, read back in {made.restore_seconds:.3f} s",
            flush=True,
        )
    return 0
