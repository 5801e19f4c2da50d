"""`warmfn bench plan SCENARIO.yaml`."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.chosen_targets import with_targets
from bench.commands.options import add_prices_option, add_target_option
from bench.cost.prices import PRICES
from bench.deployment import read_deployment
from bench.forecast.contents import report_of
from bench.forecast.make import Forecast, make_forecast
from bench.forecast.money import parse_price
from bench.forecast.per_target import by_target
from bench.forecast.rates import local_rates, parse_rates, rates_of
from bench.report.terminal import print_report
from bench.roofline.peaks import measure_peaks
from bench.scenario import read_scenario
from bench.targets.make import needs_deployment
from handlers.settings import models_path

DESCRIPTION = (
    "Of a scenario, tell what `bench run` will take before it starts: requests and tokens for each stage, target and "
    "round; time, by `bench limits` or the roofline where the weights are here, else by --rates or an assumption that "
    "is named; money for targets with a --price. The last line on standard output is a JSON object."
)
OPTIONS = ("target", "rounds", "rates", "price", "prices", "models")


def add_options(group: argparse._ArgumentGroup) -> None:
    add_target_option(group)
    group.add_argument("--rounds", type=int, metavar="N", help="instead of the scenario's")
    group.add_argument(
        "--rates",
        action="append",
        default=[],
        metavar="NAME=IN:OUT",
        help="tokens per second of a target, prompts and answers (may be repeated)",
    )
    group.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="NAME=SKU|IN:OUT",
        help="what a target charges: a worker of the price file, or dollars for a million tokens (may be repeated)",
    )
    add_prices_option(group)
    group.add_argument(
        "--models", type=Path, metavar="DIR", help="the models folder (default: $MODELS_PATH or ./models)"
    )


def plan(args: argparse.Namespace) -> int:
    scenario = with_targets(read_scenario(Path(args.subject)), args.target)
    if args.rounds is not None:
        scenario = scenario.with_rounds(args.rounds)
    given = by_target("--rates", args.rates, scenario, parse_rates)
    prices = by_target("--price", args.price, scenario, partial(parse_price, file=args.prices or PRICES))
    local = None
    if needs_deployment(scenario):
        deployment = read_deployment(args.models or models_path(), scenario.model)
        local = local_rates(deployment, lambda: measure_peaks(deployment.threads))
    forecast = make_forecast(scenario, rates_of(scenario.targets, given, local), prices)
    print_report(report_of(forecast), Console())
    print(json.dumps(_headline(forecast)))
    return 0


def _headline(forecast: Forecast) -> dict[str, Any]:
    return {
        "requests": forecast.requests,
        "tokens_in": forecast.tokens_in,
        "tokens_out": forecast.tokens_out,
        "seconds": round(forecast.seconds, 1),
        "at_most": forecast.at_most,
        "usd": forecast.usd,
        "unpriced": forecast.unpriced,
    }
