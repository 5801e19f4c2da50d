"""`warmfn serve`."""

from __future__ import annotations

import argparse

from handlers.commands.options import Commands, add_models_option

EPILOGUE = """\
environment, mostly as in LocalAI, whose longer spelling LOCALAI_... is read, too (an option wins over its variable):
  MODELS_PATH, PRELOAD_MODELS, THREADS, CONTEXT_SIZE
  ADDRESS          HOST:PORT, or :PORT for every interface
  API_KEY          keys with commas between them, of which clients must send one
  PULL_MODELS      models of the folder's gallery.yaml, with commas between them, to fetch at start if they are missing
  WARMFN_EXECUTION_TIMEOUT, CLOUD_RUN_TIMEOUT_SECONDS
                   seconds after which the host gives a request up: replies end before, with what they have
  WARMFN_DRAIN_SECONDS
                   how long replies may go on after SIGTERM (default: 25; Cloud Run leaves 10)
  DEBUG=true       debug logs, llama.cpp's own words among them
"""

_VARIABLES = {
    "preload": "PRELOAD_MODELS",
    "threads": "THREADS",
    "context_size": "CONTEXT_SIZE",
    "defaults": "WARMFN_DEFAULTS",
    "compat": "WARMFN_COMPAT",
}


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "serve",
        help="serve a models folder over HTTP",
        description="Serve every model of a folder, OpenAI-compatible, until Ctrl-C or SIGTERM.\n"
        "Models load in the background: GET /ready tells when they are there.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_models_option(command)
    command.add_argument("--host", help="address to listen on (default: that of $ADDRESS, or 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to listen on (default: that of $ADDRESS, or 8080)")
    command.add_argument(
        "--preload",
        metavar="NAME,...",
        help="models to load at once; 'none' loads each with its first request (default: $PRELOAD_MODELS, or all that "
        "have a YAML)",
    )
    command.add_argument("--threads", metavar="N", help="for models whose YAML sets none (default: $THREADS)")
    command.add_argument(
        "--context-size", metavar="N", help="for text models whose YAML sets none (default: $CONTEXT_SIZE)"
    )
    command.add_argument(
        "--defaults",
        metavar="PROFILE",
        help="what unset keys mean: 'current', or 'v2.8' as LocalAI had it then: greedy decoding, the whole trained "
        "window (default: $WARMFN_DEFAULTS, or current; a YAML's own `defaults:` wins)",
    )
    command.add_argument(
        "--compat",
        metavar="MODE",
        help="'strict' goes on silently, as LocalAI does, where a template is missing or fails (default: "
        "$WARMFN_COMPAT, or an error; a YAML's own `compat:` wins)",
    )
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from handlers.server import serve
    from handlers.settings import Settings, override

    given = {variable: getattr(arguments, name) for name, variable in _VARIABLES.items()}
    override({"MODELS_PATH": str(arguments.models)} | {k: v for k, v in given.items() if v is not None})
    host, port = Settings.from_environ().address
    return serve(arguments.host or host, port if arguments.port is None else arguments.port)
