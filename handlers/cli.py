"""The command `warmfn`: a terminal is one more adapter."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.config.folder import read_folder
from core.errors import CoreError

EPILOGUE = """\
examples:
  warmfn pull smollm2-135m-instruct       fetch a model of the gallery into ./models
  warmfn models                           what the folder holds, and what is wrong with it
  warmfn serve --port 8080                serve it at http://127.0.0.1:8080/v1
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = _parser(argv).parse_args(argv)
    try:
        status: int = arguments.command(arguments)
    except CoreError as error:
        print(f"warmfn: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="warmfn",
        description="A folder of models, served as OpenAI-compatible functions.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_models(commands)
    _add_pull(commands)
    _add_bench(commands, chosen=argv[:1] == ["bench"])
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "serve",
        help="serve a models folder over HTTP",
        description="Serve every model of a folder, OpenAI-compatible, until Ctrl-C or SIGTERM. Models load in the "
        "background: GET /ready tells when they are there. DEBUG=true in the environment shows debug logs.",
    )
    _add_models_option(command)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8080, help="port to listen on (default: %(default)s)")
    command.add_argument(
        "--preload",
        metavar="NAME,...",
        default=os.environ.get("PRELOAD_MODELS", "all"),
        help="models to load at once; 'none' loads each with its first request (default: all)",
    )
    command.set_defaults(command=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from handlers.server import serve

    os.environ |= {"MODELS_PATH": str(arguments.models), "PRELOAD_MODELS": arguments.preload}
    return serve(arguments.host, arguments.port)


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "models",
        help="list a models folder",
        description="List the models of a folder and every problem with its files. Loads nothing. The exit status is 1 "
        "if a model cannot be served.",
    )
    _add_models_option(command)
    command.set_defaults(command=_models)


def _models(arguments: argparse.Namespace) -> int:
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


def _add_pull(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "pull",
        help="fetch a model of the gallery",
        description="Fetch the files of gallery models into the models folder and check their SHA-256. What is there "
        "already and right is kept. The gallery is gallery.yaml in the models folder.",
    )
    command.add_argument("names", metavar="NAME", nargs="+", help="a model of the gallery")
    _add_models_option(command)
    command.set_defaults(command=_pull)


def _pull(arguments: argparse.Namespace) -> int:
    from core.store.gallery import read_gallery
    from core.store.pull import pull
    from handlers.progress import draw_progress

    gallery = read_gallery(arguments.models / "gallery.yaml")
    for name in arguments.names:
        with draw_progress() as progress:
            paths = pull(name, arguments.models, gallery, progress)
        print(f"{name}: {len(paths)} file{'s' * (len(paths) > 1)} in {arguments.models}")
    return 0


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser], *, chosen: bool) -> None:
    """The bench is imported only where it is asked for."""
    command = commands.add_parser(
        "bench",
        help="measure tokens per second",
        description="Measure tokens per second and time to the first token, beside other servers and the bare engine.",
    )
    if chosen:
        from bench import cli as bench

        bench.add_arguments(command)
        command.set_defaults(command=bench.run)


def _add_models_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH") or "models"),
        metavar="DIR",
        help="the models folder (default: $MODELS_PATH or ./models)",
    )


if __name__ == "__main__":
    sys.exit(main())
