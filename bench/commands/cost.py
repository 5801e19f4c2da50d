"""`warmfn bench cost`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.commands.options import add_out_option, add_prices_option, out_folder, show, write
from bench.cost.make import make_cost
from bench.cost.prices import PRICES, read_price
from bench.cost.request_use import from_rates, from_result
from bench.cost.result import RequestUse
from bench.errors import BenchError
from bench.result import read_result
from bench.session import Session
from handlers.commands.options import Commands

RATES = ("tokens_in", "tokens_out", "prefill_tok_s", "tok_s")


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "cost",
        help="dollars for a million tokens on a serverless platform, by how many requests come",
        description="What a million tokens costs on a worker that is started when requests come and stopped when none "
        "do, by the number of requests per hour: from a result's measured throughput, or from rates that are given. "
        "The prices that come with warmfn were never checked against the live pages, and every figure says so: look "
        "yours up and write them into a file of your own (--prices).",
    )
    command.add_argument("result", nargs="?", type=Path, metavar="RESULT", help="result folder of a run or load")
    command.add_argument("--tokens-in", type=float, metavar="N", help="without a RESULT: tokens of a prompt")
    command.add_argument("--tokens-out", type=float, metavar="N", help="and of an answer")
    command.add_argument("--prefill-tok-s", type=float, metavar="N", help="and how fast prompts are read")
    command.add_argument("--tok-s", type=float, metavar="N", help="and answers written")
    add_prices_option(command)
    command.add_argument("--sku", required=True, help="whose price in the file")
    command.add_argument(
        "--cold-start", type=float, required=True, metavar="S", help="seconds until a new worker is ready"
    )
    command.add_argument("--idle-timeout", type=float, metavar="S", help="default: the platform's, by the price file")
    command.add_argument(
        "--api-price", nargs=2, type=float, metavar=("IN", "OUT"), help="an API's $ per million tokens, to compare with"
    )
    command.add_argument("--per-hour", type=float, metavar="N", help="requests per hour, to advise an idle timeout for")
    command.add_argument(
        "--cold-share",
        type=float,
        default=5.0,
        metavar="PERCENT",
        help="of requests that may start a worker (default: 5)",
    )
    add_out_option(command)
    command.set_defaults(bench=_cost)


def _cost(args: argparse.Namespace) -> int:
    use, model = _use(args)
    price = read_price(args.prices or PRICES, args.sku)
    timeout = price.idle_timeout_s if args.idle_timeout is None else args.idle_timeout
    _check_numbers(args, timeout)
    session = Session("cost", "cost")
    cost = make_cost(
        use,
        price,
        cold_s=args.cold_start,
        idle_timeout_s=timeout,
        api_usd_per_m=tuple(args.api_price) if args.api_price else None,
        per_hour=args.per_hour,
        wanted_cold=args.cold_share / 100,
    )
    out = out_folder(args.out, f"cost-{price.sku}")
    result = session.result(complete=True, model_name=model, cost=cost)
    write(result, out)
    headline = {"break_even_api_per_hour", "break_even_active_per_hour", "advice", "price"}
    show(result, out, cost=cost.model_dump(mode="json", include=headline))
    return 0


def _use(args: argparse.Namespace) -> tuple[RequestUse, str | None]:
    """From the result or from the rates, never from both."""
    given = [name for name in RATES if getattr(args, name) is not None]
    if args.result:
        if given:
            raise BenchError("give a RESULT or rates, not both")
        result = read_result(args.result)
        return from_result(result), result.model_name
    if len(given) < len(RATES):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in RATES)
        raise BenchError(f"give a RESULT, or all of {options}")
    return from_rates(args.tokens_in, args.tokens_out, prefill_tok_s=args.prefill_tok_s, tok_s=args.tok_s), None


def _check_numbers(args: argparse.Namespace, timeout: float) -> None:
    if args.cold_start < 0 or timeout < 0:
        raise BenchError("--cold-start and --idle-timeout are seconds, 0 or more")
    if not 0 < args.cold_share < 100:
        raise BenchError("--cold-share is a percentage between 0 and 100")
    if args.per_hour is not None and args.per_hour <= 0:
        raise BenchError("--per-hour must be more than 0")
    if args.api_price and min(args.api_price) < 0:
        raise BenchError("--api-price has two prices, 0 or more")
