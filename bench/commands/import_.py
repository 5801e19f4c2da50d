"""`warmfn bench import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.options import add_out_option, out_folder, show, write
from bench.imports import aiperf, guidellm, llama_bench, vllm
from handlers.commands.options import Commands

READERS = {module.TOOL: module.read for module in (llama_bench, vllm, guidellm, aiperf)}


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "import",
        help="make a result of what another tool measured",
        description="Make a result, which `report` and `compare` can read, of a JSON file of llama-bench (-o json), "
        "vllm bench serve (--save-result), guidellm (benchmarks.json) or aiperf (profile_export_aiperf.json). What its "
        "tool defines otherwise is converted or left out, and the report says so.",
    )
    command.add_argument("tool", choices=READERS, help="that measured it")
    command.add_argument("file", type=Path, metavar="FILE", help="as the tool wrote it")
    command.add_argument("--target", metavar="NAME", help="what was measured; compare pairs by it. Default: the tool")
    add_out_option(command)
    command.set_defaults(bench=_import)


def _import(args: argparse.Namespace) -> int:
    found = READERS[args.tool](args.file, args.target or args.tool)
    result = found.result(args.file)
    out = out_folder(args.out, f"{args.tool}-{args.file.stem}")
    write(result, out)
    show(result, out)
    return 0
