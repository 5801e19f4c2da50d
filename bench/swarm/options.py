"""The options that locust is given beside its own."""

from __future__ import annotations

from argparse import Namespace

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from bench.errors import BenchError
from bench.load.options import RATE, SIZE, WORK

MOST_SPAWNED = 100
"""Users per second; locust warns above it."""


def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument_group("warmfn", "what is asked of the deployment, and when").add_argument
    for option, how in (RATE | SIZE | WORK).items():
        add(option, env_var=_variable(option), **how)
    add("--out", env_var="BENCH_OUT", help="an empty folder for the result; default: bench/results/<time>-locust")


def _variable(option: str) -> str:
    return "BENCH_" + option.strip("-").replace("-", "_").upper()


def settle(environment: Environment) -> None:
    """Before the first run, in the process that leads."""
    options = environment.parsed_options
    options.num_users = options.num_users or (options.expect_workers if options.master else 1)
    options.spawn_rate = options.spawn_rate or MOST_SPAWNED
    if options.run_time:  # would cut off what is in flight; the plan's own end lets it finish
        options.duration, options.run_time = f"{options.run_time}s", None
    # Out of reach of the web UI, which lets its users change every option: a key is for one host.
    environment.bench_key = (options.api_key_env, environment.host)
    del options.api_key_env


def as_load_options(environment: Environment) -> Namespace:
    """The options of `warmfn bench load`. The web UI gives an empty text for what was not filled in."""
    given = {name: None if value == "" else value for name, value in vars(environment.parsed_options).items()}
    if not environment.host:
        raise BenchError("which deployment? give -H URL")
    api_key_env, key_host = environment.bench_key
    if api_key_env and key_host != environment.host:
        raise BenchError(f"--api-key-env {api_key_env} is for the host of -H: start locust with -H {environment.host}")
    fixed = {"url": environment.host, "sweep": None, "goodput": None, "rounds": 1, "warmup": 0}
    users = environment.runner.target_user_count
    return Namespace(**given | fixed | {"concurrency": users, "api_key_env": api_key_env})
