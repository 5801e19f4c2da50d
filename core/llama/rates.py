"""How fast a file of weights is on this host, by the bare decode loop: prompts, one stream, several streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from core.host import available_cpus
from core.llama.attention import flash_attention
from core.llama.bare import BareLoop
from core.llama.context import ContextSettings
from core.llama.measures import Rates, median_rates
from core.llama.model import LlamaModel

PROMPT = 256
STREAMS = 8
STREAM_PROMPT = 32
STREAM_CELLS = 512
"""Of the KV cache, for each stream."""
TOKENS, STREAM_TOKENS = 33, 17
"""Generated in one stream and in each of several; the first comes out of the prompt's computation."""

ROUNDS = 3


def compare_rates(paths: Sequence[Path], on_step: Callable[[str], None], *, rounds: int = ROUNDS) -> list[Rates]:
    """Of each file the medians of `rounds` rounds, in each of which all take turns, one in memory at a time: what else
    the machine does then meets all of them alike. Raises ModelUnusable, DecodeFailed."""
    found: list[list[Rates]] = [[] for _ in paths]
    for number in range(rounds):
        for path, rates in zip(paths, found, strict=True):
            on_step(f"measure the speed of {path.name}, round {number + 1} of {rounds}")
            rates.append(measure_rates(path))
    return [median_rates(rates) for rates in found]


def measure_rates(path: Path, streams: int = STREAMS) -> Rates:
    """Once: a prompt of PROMPT tokens, one stream, `streams` streams. Raises ModelUnusable, DecodeFailed."""
    with closing(LlamaModel(path)) as model, closing(BareLoop(model, _settings(streams))) as loop:
        return _run(loop, model.num_vocab, streams)


def _settings(streams: int) -> ContextSettings:
    threads = available_cpus()
    return ContextSettings(
        num_cells=streams * STREAM_CELLS,
        num_seqs=streams,
        unified=False,
        max_batch=512,
        micro_batch=512,
        threads=threads,
        threads_batch=threads,
        flash_attention=flash_attention(None),
    )


def _run(loop: BareLoop, num_vocab: int, streams: int) -> Rates:
    # Which tokens they are makes no difference to the time.
    tokens = [index % num_vocab for index in range(PROMPT)]
    loop.run([tokens[:STREAM_PROMPT]], 2)  # the first pass touches memory that nothing has touched yet
    prompt = loop.run([tokens], 1)
    single = loop.run([tokens[:STREAM_PROMPT]], TOKENS)
    batch = loop.run([tokens[:STREAM_PROMPT]] * streams, STREAM_TOKENS)
    return Rates(
        prefill=PROMPT / _seconds(prompt[0], prompt[-1]),
        single=(TOKENS - 1) / _seconds(single[1], single[-1]),
        batch=streams * (STREAM_TOKENS - 1) / _seconds(batch[1], batch[-1]),
    )


def _seconds(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) / 1e9
