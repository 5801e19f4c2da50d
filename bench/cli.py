"""`warmfn bench`: arguments, progress, files. The last line on standard output is one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.deployment import Deployment, read_deployment
from bench.errors import BenchError
from bench.report import markdown, print_report
from bench.result import Result, read_result
from bench.run import REQUESTS_FILE, Run
from bench.scenario import Scenario, read_scenario
from bench.targets import make_targets

RESULTS = Path("bench/results")
REPORT_FILE = "report.md"
EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="bench_command", required=True)
    run = commands.add_parser(
        "run",
        help="measure a scenario",
        description="Measure a scenario: every target in turn, round after round. Ctrl-C keeps what was measured. The "
        "last line on standard output is a JSON object with the paths of result and report and the ratios.",
    )
    run.add_argument("scenario", type=Path, metavar="SCENARIO.yaml")
    run.add_argument("--target", action="append", metavar="NAME", help="only this target (may be repeated)")
    run.add_argument("--rounds", type=int, metavar="N", help="instead of the scenario's")
    run.add_argument(
        "--models",
        type=Path,
        default=Path(os.environ.get("MODELS_PATH") or "models"),
        metavar="DIR",
        help="the models folder (default: $MODELS_PATH or ./models)",
    )
    run.add_argument("--out", type=Path, metavar="DIR", help=f"default: {RESULTS}/<time>-<scenario>")
    report = commands.add_parser("report", help="print the report of a result again")
    report.add_argument("folder", type=Path, metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Raises CoreError for what its user can put right."""
    return _report(args.folder) if args.bench_command == "report" else _run(args)


def _report(folder: Path) -> int:
    result = read_result(folder)
    _write_report(result, folder)
    print_report(result, Console())
    print(json.dumps(_headline(result, folder)))
    return 0


def _run(args: argparse.Namespace) -> int:
    scenario = read_scenario(args.scenario)
    if args.target:
        scenario = scenario.restricted_to(args.target)
    if args.rounds is not None:
        scenario = scenario.with_rounds(args.rounds)
    started_here = any(target.started_here for target in scenario.targets)
    deployment = read_deployment(args.models, scenario.model) if started_here else None
    out = args.out or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario.name}"
    out.mkdir(parents=True, exist_ok=True)
    if (out / REQUESTS_FILE).exists():
        raise BenchError(f"{out} already holds a run: choose another --out")
    interrupted = _measure(scenario, args.models, deployment, out)
    _report(out)
    return EXIT_INTERRUPTED if interrupted else 0


def _measure(scenario: Scenario, models: Path, deployment: Deployment | None, out: Path) -> bool:
    """Measure and write the result, also of a run that fails or is stopped. Returns whether it was stopped."""
    targets = make_targets(scenario, models=models, deployment=deployment, out=out)
    # Drawn only when something ends: a progress bar that animates would be a busy neighbour.
    with Progress(*_columns(), console=Console(stderr=True), auto_refresh=False) as progress:
        requests = sum(stage.requests for stage in scenario.load) * scenario.measure.rounds * len(targets)
        task = progress.add_task("", total=requests)

        def on_progress(words: str, advance: int) -> None:
            progress.update(task, description=words, advance=advance, refresh=True)

        run = Run(scenario, targets, out, on_progress)
        try:
            asyncio.run(_until_terminated(run))
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.console.print("stopped; what was measured is kept")
        finally:
            result = run.result(deployment)
            result.write(out)
            _write_report(result, out)
    return not run.complete


def _write_report(result: Result, folder: Path) -> None:
    (folder / REPORT_FILE).write_text(markdown(result), encoding="utf-8")


async def _until_terminated(run: Run) -> None:
    """SIGTERM ends a run as Ctrl-C does: children are stopped, the result is written."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await run.measure()


def _columns() -> list[TextColumn | BarColumn | MofNCompleteColumn | TimeElapsedColumn]:
    return [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]


def _headline(result: Result, folder: Path) -> dict[str, object]:
    ratios: dict[str, dict[str, float | None]] = {}
    for ratio in result.ratios:
        key = f"{ratio.subject}/{ratio.baseline}"
        ratios.setdefault(ratio.stage, {})[f"{key} {ratio.metric}"] = ratio.ratio and round(ratio.ratio, 3)
    return {
        "result": str(folder / "result.json"),
        "report": str(folder / REPORT_FILE),
        "complete": result.complete,
        "ratios": ratios,
    }
