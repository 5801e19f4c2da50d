"""What a model that is not here yet will give on this host.

Two predictions. The roofline's ceiling needs no file and is never reached. The other measures the same shape with a few
of its layers, in random weights, and goes on in a straight line: every layer costs the same, embedding and output come
once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench.errors import BenchError
from bench.plan.probe import Job, Measured, measure
from bench.plan.result import Speed
from bench.plan.shapes import with_blocks
from bench.plan.synthetic import write_synthetic
from bench.roofline.arithmetic import prompt_flops, step_bytes
from bench.roofline.peaks import Peaks
from core.gguf import GgufHeader

FEW, SOME = 2, 6
"""Layers of the two cut models."""
ROUNDS = 3
STEPS = 24
"""Tokens generated in a measurement: at one depth, steps differ little."""

OnStep = Callable[[str], None]


def ceiling(header: GgufHeader, peaks: Peaks, *, prompt: int, output: int) -> Speed:
    """Prompts bound by arithmetic, steps by memory, each at its measured peak."""
    decode_s = step_bytes(header, batch=1, depth=prompt + output / 2) / peaks.read_bytes_s
    return Speed.of(prompt_flops(header, prompt) / peaks.flops_s, decode_s, prompt=prompt, output=output)


def extrapolate(header: GgufHeader, *, prompt: int, output: int, threads: int, on_step: OnStep) -> Speed:
    """From cut models in a temporary folder, measured in turns; medians of the rounds."""
    layers = header.num_layers or 0
    if layers <= SOME:
        raise BenchError(f"a model of {layers} layers is too small to be told from {SOME} of them: say --no-probe")
    with tempfile.TemporaryDirectory(prefix="warmfn-plan-") as folder:
        paths = {count: Path(folder) / f"{count}-layers.gguf" for count in (FEW, SOME)}
        for count, path in paths.items():
            on_step(f"writing {count} of {layers} layers")
            write_synthetic(with_blocks(header, typical_blocks(header, count)), path)
        rounds: dict[int, list[Measured]] = {FEW: [], SOME: []}
        for number in range(ROUNDS):
            for count, path in paths.items():
                on_step(f"round {number + 1}, {count} of {layers} layers")
                rounds[count].append(measure(Job(str(path), prompt, STEPS, threads)))
    prefill_s = _line(layers, *([found.prefill_s for found in rounds[count]] for count in (FEW, SOME)))
    decode_s = _line(layers, *([found.decode_s for found in rounds[count]] for count in (FEW, SOME)))
    return Speed.of(prefill_s, decode_s, prompt=prompt, output=output)


def whole(header: GgufHeader, *, prompt: int, output: int, threads: int, on_step: OnStep) -> tuple[Speed, int]:
    """All layers in random weights, once: speed, and the bytes of memory that it took."""
    with tempfile.TemporaryDirectory(prefix="warmfn-plan-") as folder:
        path = Path(folder) / "synthetic.gguf"
        on_step(f"writing {header.weight_bytes >> 20} MiB of random weights")
        write_synthetic(header, path)
        on_step("measuring all layers")
        return from_file(path, prompt=prompt, output=output, threads=threads)


def from_file(path: Path, *, prompt: int, output: int, threads: int) -> tuple[Speed, int]:
    found = measure(Job(str(path), prompt, STEPS, threads))
    return Speed.of(found.prefill_s, found.decode_s, prompt=prompt, output=output), found.peak_bytes


def typical_blocks(header: GgufHeader, count: int) -> list[int]:
    """Blocks that together are as large as `count` of the model's on average: layers of one file differ in their types.
    By size, the middle of each of `count` equal parts."""
    sizes = [0] * (header.num_layers or 0)
    for tensor in header.tensors:
        if tensor.name.startswith("blk."):
            sizes[int(tensor.name.split(".")[1])] += tensor.num_bytes
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__)
    return sorted(by_size[(2 * part + 1) * len(by_size) // (2 * count)] for part in range(count))


def _line(layers: int, few: Sequence[float], some: Sequence[float]) -> float:
    """The straight line through the medians of both cut models, at `layers`."""
    slope = (median(some) - median(few)) / (SOME - FEW)
    return median(some) + slope * (layers - SOME)
