"""A plan for one model on this host."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from bench.errors import BenchError
from bench.plan.predict import OnStep, ceiling, extrapolate, from_file, whole
from bench.plan.result import Plan
from bench.plan.shapes import SHAPES, shape_header
from bench.roofline.peaks import measure_peaks
from core.gguf import GgufHeader, parse_header
from core.gguf.kv_cache import kv_bytes_per_token
from core.host import available_cpus, available_memory


@dataclass(frozen=True)
class Question:
    """How a request of `prompt` tokens in and `output` out would do. `file` has the weights, where they are here."""

    name: str
    header: GgufHeader
    file: Path | None
    prompt: int
    output: int
    threads: int


def question(shape: str, quant: str, *, prompt: int, output: int, threads: int | None) -> Question:
    """`shape` is a name in SHAPES or the path of a GGUF, of which the header is enough. Raises CoreError."""
    if prompt < 1 or output < 2 or (threads is not None and threads < 1):
        raise BenchError("a plan needs at least 1 token in, 2 tokens out and 1 thread")
    path = Path(shape)
    if shape in SHAPES:
        header, file = shape_header(shape, quant.upper()), None
    elif path.exists():
        with path.open("rb") as stream:
            header = parse_header(stream, name=path.name)
        file = path if path.stat().st_size >= header.end_of_data else None
    else:
        raise BenchError(f"{shape}: neither a GGUF file nor one of the shapes {', '.join(SHAPES)}")
    if header.context_length and prompt + output > header.context_length:
        raise BenchError(
            f"{shape} was trained for {header.context_length} tokens; a prompt of {prompt} and {output} more are "
            "beyond it: lower --prompt or --output"
        )
    return Question(shape, header, file, prompt, output, threads or available_cpus())


def make_plan(asked: Question, *, probes: bool, synthetic: bool, on_step: OnStep) -> Plan:
    """`probes`: predict from a few layers in random weights. `synthetic`: measure all of them. Weights that are here
    are measured themselves."""
    header, size = asked.header, {"prompt": asked.prompt, "output": asked.output}
    context = asked.prompt + asked.output
    needed = header.weight_bytes + context * kv_bytes_per_token(header)
    available = available_memory()
    if asked.file or synthetic:
        _require_memory(asked.name, needed, available)
    on_step("measuring this host's memory and arithmetic")
    peaks = measure_peaks(asked.threads)
    predicted = measured = measured_bytes = None
    if probes:
        predicted = extrapolate(header, **size, threads=asked.threads, on_step=on_step)
    if asked.file:
        on_step(f"measuring {asked.file.name}")
        measured, measured_bytes = from_file(asked.file, **size, threads=asked.threads)
    elif synthetic:
        measured, measured_bytes = whole(header, **size, threads=asked.threads, on_step=on_step)
    return Plan(
        shape=Path(asked.name).name,
        quant=header.quant,
        parameters=sum(prod(tensor.shape) for tensor in header.tensors),
        weight_bytes=header.weight_bytes,
        kv_bytes_per_token=kv_bytes_per_token(header),
        context=context,
        memory_bytes=needed,
        memory_available=available,
        prompt=asked.prompt,
        output=asked.output,
        peaks=peaks,
        ceiling=ceiling(header, peaks, **size),
        predicted=predicted,
        measured=measured,
        measured_bytes=measured_bytes,
    )


def _require_memory(name: str, needed: int, available: int | None) -> None:
    """Raises BenchError where the whole of a model cannot be measured, before anything is."""
    if available is not None and needed > available:
        raise BenchError(
            f"{name} takes {needed >> 20} MiB of memory and {available >> 20} are free: free some, or take a smaller "
            "quantization"
        )
