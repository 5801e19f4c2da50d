"""The command `warmfn`: a terminal is one more adapter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from core.errors import CoreError
from handlers.commands import add, bench, doctor, models, optimize, pack, pull, serve

EPILOGUE = """\
examples:
  warmfn pull smollm2-135m-instruct       fetch a model of the gallery into ./models
  warmfn add hf:OWNER/REPO/FILE.gguf      fetch any GGUF and write a YAML for it
  warmfn models                           what the folder holds, and what is wrong with it
  warmfn doctor orca                      what is wrong with a model's prompts
  warmfn pack orca                        compute its prefixes once, so that no server has to
  warmfn optimize orca                    what it would gain in another quantization, on this CPU
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
    for command in (serve, models, doctor, optimize, pack, pull, add):
        command.add_command(commands)
    bench.add_command(commands, chosen=argv[:1] == ["bench"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
