"""`warmfn bench cold`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bench.cold.doubts import doubts_of_part
from bench.cold.measure import ColdRun
from bench.cold.result import ColdPart, PageCache
from bench.cold.variant import KINDS, make_variants
from bench.commands.options import (
    add_out_option,
    exit_status,
    on_progress_of,
    out_folder,
    progress_bar,
    run_until_stopped,
    show,
    write,
)
from bench.deployment import Deployment, read_config, read_deployment
from bench.errors import BenchError
from bench.prompt_spec import SHORTEST_PROMPT
from bench.session import Session
from handlers.commands.options import Commands, add_models_option

ROUNDS = 5
PROMPT_TOKENS = 20
DESCRIPTION = """\
Start servers again and again, each time as a new process, and measure from the start of the command until it listens,
is ready, and has answered: the first token of a text model, the first vector of one that embeds. The server's own
ledger of phases stands beside it, and what that cannot see. All kinds of start take turns, round after round. Ctrl-C
keeps what was measured. The last line on standard output is a JSON object.

A model whose YAML has `prefixes:` is also asked with the first of them before its prompt, as it stands there and behind
a new word: what a pack is worth at a cold start (`warmfn pack MODEL` makes it)."""


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "cold",
        help="measure cold starts: from the command to the first token or vector, by phase",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", nargs="+", metavar="MODEL", help="of the models folder; each is started alone")
    command.add_argument(
        "--prompt-tokens",
        action="append",
        type=int,
        metavar="N",
        help=f"length of the first request, about (default: {PROMPT_TOKENS}; may be repeated)",
    )
    command.add_argument(
        "--page-cache",
        choices=(*get_args(PageCache), "both"),
        default="both",
        help="whether the weights are in memory before a start (default: both, in turns)",
    )
    command.add_argument(
        "--target", action="append", choices=KINDS, help="which servers are started (default: ours; may be repeated)"
    )
    command.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help="starts of each kind (default: %(default)s)"
    )
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_cold)


def _cold(args: argparse.Namespace) -> int:
    lengths = sorted(set(args.prompt_tokens or [PROMPT_TOKENS]))
    if min(lengths) < SHORTEST_PROMPT or args.rounds < 1:
        raise BenchError(f"--prompt-tokens must be at least {SHORTEST_PROMPT}, and --rounds at least 1")
    caches = get_args(PageCache) if args.page_cache == "both" else (args.page_cache,)
    models, targets = dict.fromkeys(args.model), dict.fromkeys(args.target or KINDS[:1])
    variants = list(make_variants(args.models, [*models], [*targets], caches, lengths))
    out = out_folder(args.out, "cold")
    session = Session("cold", "cold start")
    with progress_bar() as progress:
        task = progress.add_task("")
        run = ColdRun(variants, args.rounds, out, session.id, on_progress_of(progress, task))
        progress.update(task, total=run.num_starts)
        try:
            run_until_stopped(_measure(run, session, out), progress)
        finally:
            part = run.part()
            result = session.result(
                complete=run.complete,
                model_name=", ".join(models),
                deployment=_deployment(args.models, [*models]),
                validity=list(doubts_of_part(part)),
                targets=list(dict.fromkeys(variant.server.spec for variant in variants)),
                cold=part,
            )
            write(result, out)
    show(result, out, starts=_headline(part))
    return exit_status(result)


async def _measure(run: ColdRun, session: Session, out: Path) -> None:
    await session.calibrate(out)
    await run.measure()


def _deployment(models: Path, names: Sequence[str]) -> Deployment | None:
    """Of the one model that was started, if its YAML tells all of it."""
    config = read_config(models, names[0])
    is_known = len(names) == 1 and config.context_size and config.slots
    return read_deployment(models, names[0]) if is_known else None


def _headline(part: ColdPart) -> list[dict[str, object]]:
    """A line for each kind of start: the median time to the first answer."""
    return [
        series.model_dump(include={"model", "target", "page_cache", "prompt"}) | {"first_s": round(first.p50 / 1e3, 3)}
        for series in part.series
        if (first := series.metrics["first_ms"])
    ]
