"""`warmfn bench context`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.commands.options import (
    add_key_option,
    add_memory_option,
    add_out_option,
    add_token_slo_option,
    exit_status,
    memory_bytes,
    on_progress_of,
    out_folder,
    progress_bar,
    run_until_stopped,
    show,
    token_slo,
    write,
)
from bench.context.doubts import context_doubts
from bench.context.haystack import QUESTIONS_PER_TASK, TASKS
from bench.context.measure import ContextRun, LocalModel, Settings, Watcher
from bench.context.memory import shape_of
from bench.context.parts import ContextPart
from bench.context.probing import probe_of
from bench.context.sequential import MAX_TEXTS
from bench.deployment import Deployment, read_deployment
from bench.errors import BenchError
from bench.result import Result
from bench.session import Session
from bench.target_spec import TargetSpec
from bench.targets.make import our_door
from core.config.backends import choose_backend
from core.config.folder import read_folder
from handlers.commands.options import Commands, add_models_option

TEXTS, QUICK_TEXTS = 3, 1
QUESTIONS_PER_TEXT = QUESTIONS_PER_TASK * len(TASKS)


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "context",
        help="measure how long a prompt may be, and what limits it",
        description="Five limits of a context and the one that binds: advertised by the weights, configured, what "
        "memory allows, what answers in time, what the model still makes use of; and what the server does with more. "
        "A long context on a small host takes long: the expected time is told first, and Ctrl-C keeps what was "
        "measured. The last line on standard output is a JSON object.",
    )
    command.add_argument("model", metavar="MODEL", help="of the models folder, or as the server at URL calls it")
    command.add_argument("--target", metavar="URL", help="a server that runs already; the address includes /v1")
    add_key_option(command)
    command.add_argument("--max-length", type=int, metavar="TOKENS", help="no longer prompts (default: all that fits)")
    command.add_argument(
        "--texts",
        type=int,
        metavar="N",
        help=f"most of one length, with {QUESTIONS_PER_TEXT} questions each; fewer where the score is decided before "
        f"(default: {TEXTS}, at most {MAX_TEXTS})",
    )
    command.add_argument(
        "--seed", type=int, default=7, metavar="N", help="other texts and facts (default: %(default)s)"
    )
    add_token_slo_option(command)
    add_memory_option(command)
    command.add_argument("--quick", action="store_true", help=f"three lengths, --texts {QUICK_TEXTS}")
    add_models_option(command)
    add_out_option(command)
    command.set_defaults(bench=_context)


def _context(args: argparse.Namespace) -> int:
    settings, model, memory = _settings(args), _model(args), memory_bytes(args)
    out = out_folder(args.out, "context")
    session = Session("context", "context limits")
    with progress_bar() as progress:
        task = progress.add_task("", total=None)

        def on_plan(words: str, tokens: int) -> None:
            progress.console.print(words)
            progress.update(task, total=tokens)

        on_progress = on_progress_of(progress, task)
        run = ContextRun(settings, out, session.id, Watcher(on_plan, on_progress))
        try:
            on_progress("calibrating the client", 0)
            run_until_stopped(_measure(session, run, model, memory, out), progress)
        finally:
            result = _result(session, run, args.model, model if isinstance(model, Deployment) else None)
            write(result, out)
    show(result, out, **_headline(result.context))
    return exit_status(result)


async def _measure(
    session: Session, run: ContextRun, model: Deployment | TargetSpec, memory: int | None, out: Path
) -> None:
    await session.calibrate(out)
    if isinstance(model, TargetSpec):
        await run.measure_server(str(model.url), str(model.model), model.api_key())
    else:
        await _measure_ours(run, model, memory, out)


async def _measure_ours(run: ContextRun, deployment: Deployment, memory: int | None, out: Path) -> None:
    await run.measure_memory(_local_model(deployment, memory), deployment.context_size)
    door = our_door(deployment, out / "server.log")
    try:
        server = await door.open()
        await server.close()  # the reader has a client of its own
        await run.measure_server(server.base_url, deployment.name)
    finally:
        if door.process:
            await door.process.stop()


def _result(session: Session, run: ContextRun, model: str, deployment: Deployment | None) -> Result:
    part = run.part()
    doubts = list(context_doubts(part, session.calibration))
    return session.result(complete=run.complete, model_name=model, deployment=deployment, context=part, validity=doubts)


def _model(args: argparse.Namespace) -> Deployment | TargetSpec:
    """Of the models folder, or where it is served already. Raises BenchError where it, or its key, cannot be found."""
    if args.target:
        target = TargetSpec(name="target", kind="url", url=args.target, model=args.model, api_key_env=args.api_key_env)
        target.api_key()
        return target
    if args.api_key_env:
        raise BenchError(f"--api-key-env {args.api_key_env}: only a --target has a key")
    return read_deployment(args.models, args.model)


def _settings(args: argparse.Namespace) -> Settings:
    texts = (QUICK_TEXTS if args.quick else TEXTS) if args.texts is None else args.texts
    if not 1 <= texts <= MAX_TEXTS:
        raise BenchError(f"--texts {texts}: 1 to {MAX_TEXTS}")
    return Settings(token_slo(args), texts, args.max_length, args.quick, args.seed)


def _local_model(deployment: Deployment, budget: int | None) -> LocalModel:
    """Raises BenchError where the model has no context, or nobody knows how much memory is free."""
    config = read_folder(Path(deployment.models)).configs[deployment.name]
    if choose_backend(config) != "llama-text":
        raise BenchError(f"{deployment.name} is no text model: only those are measured by context")
    if budget is None:
        raise BenchError("this host does not tell how much memory is free: say it with --memory")
    shape = shape_of(config)
    return LocalModel(shape, probe_of(deployment, unified=shape.unified), budget)


def _headline(part: ContextPart | None) -> dict[str, Any]:
    if part is None:
        return {}
    limits = {name: limit.tokens for name, limit in part.ladder.limits.items()}
    return {"usable": part.ladder.usable, "binding": part.ladder.binding, "limits": limits}
