"""`warmfn bench run`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.chosen_targets import with_targets
from bench.commands.options import (
    add_key_option,
    add_out_option,
    add_target_option,
    exit_status,
    on_progress_of,
    out_folder,
    progress_bar,
    run_until_stopped,
    show,
    write,
)
from bench.deployment import Deployment, read_deployment
from bench.forecast.contents import summary
from bench.forecast.make import make_forecast
from bench.forecast.rates import local_rates, rates_of
from bench.neighbours import check_neighbours
from bench.result import Result, read_result
from bench.roofline.peaks import Peaks, measure_peaks
from bench.roofline.stages import roofline
from bench.run import Run
from bench.scenario import Scenario, read_scenario
from bench.targets.make import make_targets, needs_deployment
from core.gguf import read_header
from handlers.commands.options import Commands, add_models_option


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "run",
        help="measure a scenario",
        description="Measure a scenario: every target in turn, round after round. What that will take is told first "
        "(`bench plan SCENARIO.yaml` tells more, and starts nothing). Ctrl-C keeps what was measured. The last line on "
        "standard output is a JSON object with the paths of result and report and the ratios.",
    )
    command.add_argument(
        "scenario",
        type=Path,
        metavar="SCENARIO.yaml",
        help="what is asked of which targets: bench/scenarios has some, `bench load --print-scenario` writes one",
    )
    add_target_option(command)
    add_key_option(command)
    command.add_argument("--rounds", type=int, metavar="N", help="instead of the scenario's")
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_run)


def _run(args: argparse.Namespace) -> int:
    scenario = with_targets(read_scenario(args.scenario), args.target, args.api_key_env)
    if args.rounds is not None:
        scenario = scenario.with_rounds(args.rounds)
    deployment = read_deployment(args.models, scenario.model) if needs_deployment(scenario) else None
    out = out_folder(args.out, scenario.name)
    result = measure(scenario, models=args.models, deployment=deployment, out=out, command="run")
    show(result, out, ratios=_ratios(result))
    return exit_status(result)


def measure(scenario: Scenario, *, models: Path, deployment: Deployment | None, out: Path, command: str) -> Result:
    """Measure and write the result, also of a run that fails or is stopped."""
    check_neighbours(scenario)
    peaks = measure_peaks(deployment.threads) if deployment and not deployment.embeds else None
    targets = make_targets(scenario, models=models, deployment=deployment, out=out)
    with progress_bar() as progress:
        progress.console.print(_expectation(scenario, deployment, peaks), markup=False)
        requests = sum(entry.num_requests for entry in scenario.load) * scenario.measure.rounds * len(targets)
        task = progress.add_task("", total=requests)
        run = Run(scenario, targets, out, on_progress_of(progress, task), command=command)
        try:
            run_until_stopped(_calibrate_and_measure(run), progress)
        finally:
            write(_with_roofline(run.result(deployment), deployment, peaks), out)
    return read_result(out)


def _expectation(scenario: Scenario, deployment: Deployment | None, peaks: Peaks | None) -> str:
    local = local_rates(deployment, lambda: peaks) if deployment and peaks else None
    return summary(make_forecast(scenario, rates_of(scenario.targets, {}, local), {}))


def _with_roofline(result: Result, deployment: Deployment | None, peaks: Peaks | None) -> Result:
    """Only where the weights are here to be counted, and write texts."""
    if deployment is None or peaks is None:
        return result
    use = roofline(result, read_header(Path(deployment.weights)), peaks, deployment.slots)
    return result.model_copy(update={"roofline": use})


async def _calibrate_and_measure(run: Run) -> None:
    await run.calibrate()
    await run.measure()


def _ratios(result: Result) -> dict[str, dict[str, float | None]]:
    """By stage, then by what is compared."""
    ratios: dict[str, dict[str, float | None]] = {}
    for ratio in result.ratios:
        key = f"{ratio.subject}/{ratio.baseline} {ratio.metric}"
        ratios.setdefault(ratio.stage, {})[key] = ratio.ratio and round(ratio.ratio, 3)
    return ratios
