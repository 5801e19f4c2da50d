"""What the bench's commands share: options, where results go, how a command ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.cost.prices import PRICES
from bench.errors import BenchError
from bench.report.blocks import Report
from bench.report.contents import report_of
from bench.report.html import html
from bench.report.markdown import markdown
from bench.report.terminal import print_report
from bench.requests_file import read_records
from bench.result import FILE_NAME, Result
from bench.slo import IN_CONVERSATION, TOKEN_LIMITS, Slo, grammar, parse_slo
from core.host import available_memory

RESULTS = Path("bench/results")
REPORT_NAME = "report"
EXIT_INTERRUPTED = 130


def add_out_option(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--out", type=Path, metavar="DIR", help=f"a new folder for what is found (default: {RESULTS}/<time>-<name>)"
    )


def add_target_option(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME[=URL]",
        help="NAME: only this target; NAME=URL: its address, or one more OpenAI-compatible server (may be repeated)",
    )


def add_key_option(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--api-key-env", metavar="VAR", help="the environment variable with the API key of what has a URL"
    )


def add_token_slo_option(command: argparse.ArgumentParser) -> None:
    """Read it with `token_slo`."""
    words = f"what counts as in time: {grammar(TOKEN_LIMITS)} (default: %(default)s)"
    command.add_argument("--slo", default=IN_CONVERSATION, metavar="LIMITS", help=words)


def token_slo(args: argparse.Namespace) -> Slo:
    return parse_slo(args.slo, TOKEN_LIMITS)


def add_memory_option(command: argparse.ArgumentParser) -> None:
    """Read it with `memory_bytes`."""
    command.add_argument("--memory", type=float, metavar="GIB", help="for the server (default: what is free here)")


def memory_bytes(args: argparse.Namespace) -> int | None:
    """None where nobody knows."""
    if args.memory is None:
        return available_memory()
    if args.memory <= 0:
        raise BenchError(f"--memory {args.memory:g}: must be more than 0")
    return int(args.memory * 2**30)


def add_prices_option(command: argparse._ActionsContainer) -> None:
    """None for the prices that come with warmfn."""
    command.add_argument(
        "--prices", type=Path, metavar="FILE", help=f"your own (default: {PRICES}, none of them verified)"
    )


def out_folder(chosen: Path | None, name: str) -> Path:
    """Made if need be. Raises BenchError for one that cannot be made or holds something already."""
    folder = chosen or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(f"{folder} cannot be made: {error.strerror}: choose another --out") from error
    if any(folder.iterdir()):
        raise BenchError(f"{folder} already holds files, perhaps of another run: choose another --out")
    return folder


def write(result: Result, folder: Path) -> None:
    """The result and its reports."""
    result.write(folder)
    write_report(result, folder)


def write_report(result: Result, folder: Path) -> None:
    write_pages(report_of(result, read_records(folder)), folder, REPORT_NAME)


def write_pages(report: Report, folder: Path, name: str) -> None:
    """As Markdown and as HTML."""
    (folder / f"{name}.md").write_text(markdown(report), encoding="utf-8")
    (folder / f"{name}.html").write_text(html(report), encoding="utf-8")


def show(result: Result, folder: Path, **headline: Any) -> None:
    """The report on the terminal; the last line is a JSON object for programs."""
    print_report(report_of(result), Console())
    names = {"result": FILE_NAME, "report": f"{REPORT_NAME}.md", "html": f"{REPORT_NAME}.html"}
    paths = {key: str(folder / name) for key, name in names.items()}
    print(json.dumps(paths | {"complete": result.complete} | headline))


def exit_status(result: Result) -> int:
    return 0 if result.complete else EXIT_INTERRUPTED


def progress_bar() -> Progress:
    """Drawn only when something ends: one that animates would be a busy neighbour of what is measured."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False)


def on_progress_of(progress: Progress, task: TaskID) -> Callable[[str, int], None]:
    """To be told what happens now, and by how many steps the task has advanced."""

    def on_progress(words: str, steps: int) -> None:
        progress.update(task, description=words, advance=steps, refresh=True)

    return on_progress


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, so that it ends a measurement as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_until_stopped(measuring: Coroutine[Any, Any, None], progress: Progress) -> None:
    """Ctrl-C and SIGTERM end a measurement, not the command: children are stopped, the result is written."""
    try:
        asyncio.run(_until_terminated(measuring))
    except (KeyboardInterrupt, asyncio.CancelledError):
        progress.console.print("stopped; what was measured is kept")


async def _until_terminated(measuring: Awaitable[None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await measuring
