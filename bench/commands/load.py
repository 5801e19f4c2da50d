"""`warmfn bench load`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.options import add_out_option, exit_status, out_folder, show
from bench.commands.run import measure
from bench.errors import BenchError
from bench.load.adhoc import adhoc_scenario, as_yaml
from bench.load.options import ARRIVALS, ATTAIN, RATE, SIZE, WORK
from bench.result import Result
from handlers.commands.options import Commands


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "load",
        help="put a running deployment under load",
        description="Put any OpenAI-compatible server under load, without a scenario file: clients that wait for their "
        "answers, or requests that arrive whether or not earlier ones were answered. Ctrl-C keeps what was measured. "
        "The last line on standard output is a JSON object.",
    )
    command.add_argument("url", metavar="URL", help="http://HOST:PORT or a base address that ends in /v1")
    _add_kinds_of_load(command.add_argument_group("kind of load (one of)").add_mutually_exclusive_group())
    _add_size(command.add_argument_group("how much"))
    _add_work(command.add_argument_group("of what"))
    add_out_option(command)
    command.add_argument("--print-scenario", action="store_true", help="print it for `bench run` and measure nothing")
    command.set_defaults(bench=_load)


def _add_kinds_of_load(kinds: argparse._MutuallyExclusiveGroup) -> None:
    kinds.add_argument("--concurrency", type=int, default=1, metavar="N", help="clients at once (default: 1)")
    for option, how in RATE.items():
        kinds.add_argument(option, **how)
    kinds.add_argument("--sweep", metavar="clients=1,2,4|rate=.5,1,2", help="one stage for each, and the knee")
    kinds.add_argument("--goodput", metavar="LO:HI", help="find the highest rate that meets --slo")


def _add_size(size: argparse._ArgumentGroup) -> None:
    for option, how in SIZE.items():
        size.add_argument(option, **how)
    size.add_argument("--rounds", type=int, default=1, metavar="N", help="how often all of it (default: 1)")
    size.add_argument(
        "--warmup", type=int, default=1, metavar="N", help="short requests per client before each stage (default: 1)"
    )


def _add_work(work: argparse._ArgumentGroup) -> None:
    for option, how in WORK.items():
        work.add_argument(option, **how)


def _load(args: argparse.Namespace) -> int:
    _refuse_ignored(args)
    scenario = adhoc_scenario(args)
    if args.print_scenario:
        print(as_yaml(scenario), end="")
        return 0
    out = out_folder(args.out, scenario.name)
    result = measure(scenario, models=Path(), deployment=None, out=out, command="load")
    show(result, out, **_headline(result))
    return exit_status(result)


def _refuse_ignored(args: argparse.Namespace) -> None:
    """Options that would change nothing."""
    has_rates = args.rate is not None or args.ramp or (args.sweep or "").startswith("rate=")
    if args.arrivals != ARRIVALS and not has_rates:
        raise BenchError(f"--arrivals {args.arrivals} is for --rate, --ramp and --sweep rate=...: leave it out")
    if args.attain != ATTAIN and not args.goodput:
        raise BenchError("--attain is for --goodput: leave it out")


def _headline(result: Result) -> dict[str, object]:
    """What a program would ask for first."""
    stages = {
        stage.stage: {
            "ok": stage.n_ok,
            "sent": stage.n_sent,
            "out_tok_s": stage.rates.out_tok_s,
            "achieved_req_s": stage.rates.achieved_req_s,
            "ttft_p50_ms": stage.rates.ttft_p50_ms,
            "good": stage.goodput and stage.goodput.share,
        }
        for stage in result.stages
    }
    knees = [curve.knee for curve in result.curves]
    return {"stages": stages, "knee": knees, "goodput_req_s": [search.rate for search in result.searches]}
