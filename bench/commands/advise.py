"""`warmfn bench advise`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from bench.advise.advice import Advice, advise
from bench.advise.evidence import read_evidence
from bench.advise.fragment import fragment
from bench.commands.options import add_slo_option
from bench.errors import BenchError
from bench.report.blocks import Report, Section, Table
from bench.report.terminal import print_report
from bench.slo import IN_CONVERSATION, TOKEN_LIMITS, parse_slo
from core.host import available_memory
from handlers.commands.options import Commands


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "advise",
        help="settings for a model, from what was measured",
        description="Settings for a model from its results: context_size from `bench context`, slots from a load, "
        "threads and batch from `bench limits`, the idle timeout from `bench cost`. Each comes with what it rests on; "
        "what was not measured says what to run. Then a fragment for the model's YAML, and a JSON object as last line.",
    )
    command.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="result folders of one model")
    add_slo_option(command, TOKEN_LIMITS, default=IN_CONVERSATION)
    command.add_argument("--memory", type=float, metavar="GIB", help="for the server (default: what is free here)")
    command.set_defaults(bench=_advise)


def _advise(args: argparse.Namespace) -> int:
    if args.memory is not None and args.memory <= 0:
        raise BenchError("--memory must be more than 0")
    memory = available_memory() if args.memory is None else int(args.memory * 2**30)
    evidence = read_evidence(args.results, parse_slo(args.slo, TOKEN_LIMITS), memory)
    found = advise(evidence)
    print_report(_report(evidence.model, found), Console())
    print(f"\n{fragment(evidence.model, found)}")
    print(json.dumps({one.key: one.value for one in found}))
    return 0


def _report(model: str, found: list[Advice]) -> Report:
    rows = tuple((one.key, "unknown" if one.value is None else str(one.value), one.basis) for one in found)
    table = Table(("setting", "value", "rests on"), rows)
    return Report(model, (), (Section(f"Settings for {model}", (table,)),))
