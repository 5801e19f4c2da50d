"""How fast a target is taken to be, and what that rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.deployment import Deployment
from bench.forecast.per_target import in_and_out
from bench.forecast.work import Batch, Work
from bench.roofline.arithmetic import prompt_flops, step_bytes
from bench.roofline.peaks import Peaks
from bench.target_spec import TargetSpec
from core.gguf import read_header
from core.limits import Decode, MeasuredLimits, Prefill, limits_path, parse_limits, read_limits, this_host

LENGTHS, DEPTHS = (128, 512, 2048), (16, 1024)
"""Tokens, at which a roofline is read off."""


@dataclass(frozen=True)
class Rates:
    """As a limits file has them: `prefill` of one prompt after the other, by length; `decode` of all sequences
    together, by their number and depth. Between two of them, and not beyond, in a straight line."""

    prefill: Sequence[Prefill]
    decode: Sequence[Decode]
    basis: str

    def seconds(self, work: Work) -> float:
        """To compute it: all of a closed loop, of an open one the warm-up alone, since its requests come in their own
        time."""
        first = self._seconds(work.warm_up) if work.warm_up else 0.0
        if work.arriving_s is not None:
            return first
        return first + min(self._seconds(work.asked), work.limit_s or np.inf)

    def _seconds(self, batch: Batch) -> float:
        """Prompts one after the other, then steps of as many sequences as there are clients or were ever measured."""
        depth = batch.tokens_in + batch.tokens_out / 2
        prefill = _between([(found.length, found.tok_s) for found in self.prefill], batch.tokens_in)
        by_batch = [
            (size, _between([(found.depth, found.tok_s) for found in self.decode if found.batch == size], depth))
            for size in {found.batch for found in self.decode}
        ]
        decode = _between(by_batch, batch.clients)
        return batch.requests * (batch.fresh / prefill + batch.tokens_out / decode)


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    ordered = sorted(points)
    return float(np.interp(x, [at for at, _ in ordered], [value for _, value in ordered]))


def flat(prefill_tok_s: float, decode_tok_s: float, basis: str) -> Rates:
    """Of all requests together, whatever their length and number."""
    prefill, decode = Prefill(length=1, tok_s=prefill_tok_s), Decode(batch=1, depth=1, tok_s=decode_tok_s)
    return Rates((prefill,), (decode,), basis)


ASSUMED = flat(500, 50, "assumed: 500 tok/s in and 50 tok/s out, all requests together (say better with --rates)")


def rates_of(targets: Sequence[TargetSpec], given: Mapping[str, Rates], local: Rates | None) -> dict[str, Rates]:
    """By target: what was given, else for what runs on this host's weights `local`, else what is assumed."""
    return {
        target.name: given.get(target.name) or (local if target.started_here and local else ASSUMED)
        for target in targets
    }


def local_rates(deployment: Deployment, peaks: Callable[[], Peaks]) -> Rates:
    """Of the limits file of these weights, else of the roofline."""
    weights = Path(deployment.weights)
    if found := _limits(weights):
        basis = f"measured on {found.measured[:10]}: {limits_path(weights).name}"
        return Rates(found.prefill, found.decode, basis)
    return _roofline(deployment, peaks())


def _limits(weights: Path) -> MeasuredLimits | None:
    """None, and a word in the log, for what was measured on another processor or with other weights. Cards, build
    and cache are not looked at: llama.cpp would have to be loaded into the client."""
    path = limits_path(weights)
    if not path.exists():
        return None
    try:
        there = parse_limits(path).host
    except (OSError, ValueError):
        return read_limits(weights, this_host((), ""), None)  # which says what is wrong with the file
    return read_limits(weights, this_host(there.cards, there.llama_cpp), None)


def _roofline(deployment: Deployment, peaks: Peaks) -> Rates:
    header = read_header(Path(deployment.weights))
    sizes = [2**power for power in range(deployment.slots.bit_length())]
    return Rates(
        [Prefill(length=length, tok_s=length * peaks.flops_s / prompt_flops(header, length)) for length in LENGTHS],
        [
            Decode(
                batch=size, depth=depth, tok_s=size * peaks.read_bytes_s / step_bytes(header, batch=size, depth=depth)
            )
            for size in sizes
            for depth in DEPTHS
        ],
        "the roofline of this host, which is seldom reached: expect more (`warmfn bench limits` measures)",
    )


def parse_rates(text: str) -> Rates:
    """`IN:OUT`, in tokens per second. Raises ValueError."""
    into, out = in_and_out(text)
    if not (into and out):
        raise ValueError("rates are more than 0")
    return flat(into, out, f"given: {into:g} tok/s in and {out:g} tok/s out, all requests together")
