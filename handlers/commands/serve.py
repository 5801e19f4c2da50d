"""`warmfn serve`."""

from __future__ import annotations

import argparse
import os

from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "serve",
        help="serve a models folder over HTTP",
        description="Serve every model of a folder, OpenAI-compatible, until Ctrl-C or SIGTERM. Models load in the "
        "background: GET /ready tells when they are there. DEBUG=true in the environment shows debug logs.",
    )
    add_models_option(command)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8080, help="port to listen on (default: %(default)s)")
    command.add_argument(
        "--preload",
        metavar="NAME,...",
        default=os.environ.get("PRELOAD_MODELS", "all"),
        help="models to load at once; 'none' loads each with its first request (default: all)",
    )
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from handlers.server import serve

    os.environ |= {"MODELS_PATH": str(arguments.models), "PRELOAD_MODELS": arguments.preload}
    return serve(arguments.host, arguments.port)
