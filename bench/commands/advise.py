"""`warmfn bench advise`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from bench.advise.advice import Advice, advise
from bench.advise.evidence import read_evidence
from bench.advise.fragment import fragment
from bench.commands.options import add_memory_option, add_token_slo_option, memory_bytes, token_slo
from bench.report.blocks import Report, Section, Table
from bench.report.terminal import print_report
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
    add_token_slo_option(command)
    add_memory_option(command)
    command.set_defaults(bench=_advise)


def _advise(args: argparse.Namespace) -> int:
    evidence = read_evidence(args.results, token_slo(args), memory_bytes(args))
    found = advise(evidence)
    print_report(_report(evidence.model, found), Console())
    print(f"\n{fragment(evidence.model, found)}")
    print(json.dumps({one.key: one.value for one in found}))
    return 0


def _report(model: str, found: list[Advice]) -> Report:
    rows = tuple((one.key, "unknown" if one.value is None else str(one.value), one.basis) for one in found)
    table = Table(("setting", "value", "rests on"), rows)
    return Report(model, (), (Section(f"Settings for {model}", (table,)),))
