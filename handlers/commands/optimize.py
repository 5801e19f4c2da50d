"""`warmfn optimize`."""

from __future__ import annotations

import argparse
import datetime
import math
import sys
from typing import TYPE_CHECKING

from core.errors import StoreError
from handlers.commands.options import Commands, add_models_option, find_model
from handlers.settings import Settings

if TYPE_CHECKING:
    from core.config.folder import ModelsFolder
    from core.config.model import ModelConfig
    from core.optimize import Comparison

EPILOGUE = """\
auto tries Q8_0 and Q4_0 and keeps the fastest form without measurable loss: a mean KL divergence of at most 0.01 nats
and a perplexity within two standard errors of the original's, on a text of 1900 tokens, and at least 5 % faster in the
geometric mean of prompts, one stream and 8 streams. Often that is the original, and then nothing is kept.

A file that is quantized already is quantized again: what it lost the first time does not come back. A form of that name
that lies beside the original (one from its publisher, say) is measured instead of made.

The table goes into a comment of the model's YAML. A model whose YAML says `optimized_from: OTHER` gets its own file
instead, made of OTHER's, if it is not there yet.

A BERT in a sentence-transformers folder becomes a GGUF (float16) with the same tokens, pooling and length of vectors,
whose vectors on committed texts have a cosine of at least 0.9999 to the folder's; MODEL-gguf.yaml serves it without
torch. Other architectures, such as MPNet, are refused. Needs the extra: pip install 'warmfn[convert]'.
"""
HEADINGS = ("form", "size", "prompt", "1 stream", "8 streams", "perplexity", "KL divergence", "same top token")


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "optimize",
        help="make and measure a model's CPU-fast form",
        description="Make a text model's GGUF in another quantization and measure both on this host: tokens per "
        "second, and what the change costs in quality. This is to serve a faster form: it is kept beside the original. "
        "To only look at more types, with memory and a report, there is `warmfn bench quants MODEL`.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", metavar="MODEL", help="a model of the folder")
    command.add_argument(
        "--to", metavar="TYPE", default="auto", help="auto (default), q8_0, q4_0, q4_k_m, q6_k, f16, ..."
    )
    command.add_argument(
        "--apply", action="store_true", help="let the model's YAML name the form: the TYPE given, or the one auto chose"
    )
    add_models_option(command)
    command.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    from core.config.backends import choose_backend
    from core.config.folder import read_folder

    folder = read_folder(arguments.models, Settings.from_environ().folder_defaults)
    config = find_model(folder, arguments.model)
    to = None if arguments.to.lower() == "auto" else arguments.to.upper()
    try:
        if config.optimized_from:
            _make_own_file(folder, config, config.optimized_from, to, apply=arguments.apply)
        elif choose_backend(config) != "llama-text":
            _turn_into_gguf(config, to, apply=arguments.apply)
        else:
            _compare_and_note(config, to, apply=arguments.apply)
    except KeyboardInterrupt:
        print("warmfn: interrupted; nothing is kept.", file=sys.stderr)
        raise
    return 0


def _turn_into_gguf(config: ModelConfig, to: str | None, *, apply: bool) -> None:
    if to or apply:
        raise StoreError(
            "--to and --apply are for text models: a folder of embeddings gets a GGUF and a YAML of its own"
        )
    path = config.root / f"{config.name}-gguf.yaml"
    if path.exists():
        raise StoreError(f"{path} is there already and is not overwritten: remove it to have it made again")
    from core.embedding_form import embedding_yaml, make_embedding_form
    from core.store.disk import explained_disk_errors

    form = make_embedding_form(config, _say)
    text = embedding_yaml(config, form, path.stem)
    print(
        f"{form.path}: same tokens, cosine at least {math.floor(form.cosine * 1e5) / 1e5} on {form.num_texts} texts; "
        f"{form.rate:.0f} texts/s, the folder {form.folder_rate:.0f}"
    )
    with explained_disk_errors(config.root):
        path.write_text(text, "utf-8")
    print(f"{path}:\n{text}")


def _say(step: str) -> None:
    print(step, file=sys.stderr)


def _make_own_file(folder: ModelsFolder, config: ModelConfig, origin: str, to: str | None, *, apply: bool) -> None:
    from core.optimize import place_form

    if apply:
        raise StoreError(f"--apply is for models without `optimized_from`: {config.name} names its own file already")
    target = folder.path / (config.parameters.model or config.name)
    if target.exists():
        print(f"{target}: is there already; remove it to have it made again")
        return
    comparison = _measured(find_model(folder, origin), to)
    chosen = comparison.forms[1] if to else comparison.best
    place_form(chosen, target)
    print(f"{target}: is {chosen.path.name}, {chosen.quant}")


def _compare_and_note(config: ModelConfig, to: str | None, *, apply: bool) -> None:
    from core.store.yaml_edit import replace_comment, replace_model, rewrite

    if apply and config.source is None:
        raise StoreError(f"{config.name} has no YAML that could name another file: `warmfn add` writes one")
    comparison = _measured(config, to)
    chosen = comparison.forms[1] if to else comparison.best
    if config.source is None:
        return
    text = config.source.read_text("utf-8")
    today = datetime.date.today().isoformat()
    changed = replace_comment(
        text, f"`warmfn optimize {config.name}`: measured on {today}, {_host()}", _lines(comparison)
    )
    if apply and chosen is not comparison.original:
        model = chosen.path.relative_to(config.root).as_posix()
        changed = replace_model(changed, config.name, model)
        print(f"{config.source}: names {model} now")
    rewrite(config.source, changed)


def _measured(config: ModelConfig, to: str | None) -> Comparison:
    from core.optimize import compare_forms
    from handlers.progress import draw_progress

    with draw_progress() as progress:
        comparison = compare_forms(config, to, progress, _say)
    print("\n".join(_lines(comparison)))
    return comparison


def _verdict(comparison: Comparison) -> str:
    original, best = comparison.original, comparison.best
    if best is original:
        return f"{original.path.name} itself is the fastest form without measurable loss here."
    gain = best.rates.gain_over(original.rates)
    return f"{best.path.name} is the fastest form without measurable loss here: {gain:.2f} times as fast."


def _lines(comparison: Comparison) -> list[str]:
    """The table and what follows from it; errors are standard errors."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for form in comparison.forms:
        quality = form.quality
        rows.append(
            (
                form.path.name,
                f"{form.num_bytes / 1e6:.0f} MB",
                *(f"{rate:.0f} tok/s" for rate in (form.rates.prefill, form.rates.single, form.rates.batch)),
                f"{100 * quality.change:+.1f} ± {100 * quality.log_ratio_error:.1f} %" if quality else "-",
                f"{quality.divergence:.4f} ± {quality.divergence_error:.4f}" if quality else "-",
                f"{100 * quality.same_top:.1f} %" if quality else "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return [*table, _verdict(comparison)]


def _host() -> str:
    from core.host import available_cpus, cpu_model

    return f"{available_cpus()} CPUs of {cpu_model()}"
