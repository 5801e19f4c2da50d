"""`warmfn models`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from core.config.folder import ModelsFolder, read_folder
from core.config.problem import Problem
from core.config.summary import Summary, other_problems, summarize
from handlers.commands.options import Commands, add_models_option
from handlers.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

EPILOGUE = """\
--json prints one object:
  path      the folder
  ok        whether no file has an error; the exit status is 0 if so
  models    one object for each model:
              name
              kind             "text" (chat and completions) or "embedding"; null if unknown
              backend          "llama-text", "llama-embedding", "torch-embedding"; null for none
              weights, bytes   path in the folder and size, or null where they are missing
              context_size     what the YAML sets, or null
              trained_context  what the weights were trained for, or null
              template         a .tmpl file, "inline", "weights", "none"; null for embeddings
              usable           whether its weights are there and it has no error
              problems         each with file, line, key, message, severity and model
  problems  those of files that give no model, in the same form
"""

PIPE_WIDTH = 10_000
"""Where nobody looks at a screen, nothing is wrapped or cut."""


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "models",
        help="list a models folder",
        description="List the models of a folder and every problem with its files. Loads nothing.\n"
        "The exit status is 1 if a file has an error.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_models_option(command)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    folder = read_folder(arguments.models, Settings.from_environ().folder_defaults)
    summaries, others = summarize(folder), other_problems(folder)
    problems = [*(problem for summary in summaries for problem in summary.problems), *others]
    is_well = not any(problem.severity == "error" for problem in problems)
    if arguments.json:
        print(json.dumps(_as_json(folder, summaries, others, is_well=is_well), indent=2))
    else:
        _print_table(summaries)
        for problem in problems:
            print(f"{problem.severity}: {problem}")
    return int(not is_well)


def _as_json(
    folder: ModelsFolder, summaries: list[Summary], others: list[Problem], *, is_well: bool
) -> dict[str, object]:
    return {
        "path": str(folder.path),
        "ok": is_well,
        "models": [summary.as_json() for summary in summaries],
        "problems": [problem.as_json() for problem in others],
    }


def _print_table(summaries: list[Summary]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "kind", "backend", "weights", "size", "context", "template", "problems"):
        table.add_column(heading, overflow="fold")
    for summary in summaries:
        _add_row(table, summary)
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)


def _add_row(table: Table, summary: Summary) -> None:
    from rich.text import Text

    trained = f"{summary.trained_context} (trained)" if summary.trained_context else "-"
    row = (
        summary.name,
        {"text": "chat/completion", "embedding": "embedding"}.get(summary.kind or "", "-"),
        summary.backend or "-",
        summary.weights or "missing",
        _size(summary.bytes),
        str(summary.context_size or trained),
        summary.template or "-",
        str(len(summary.problems)),
    )
    style = "red" if summary.has_errors else None if summary.is_usable else "dim"
    table.add_row(*map(Text, row), style=style)


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return "-"
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
