"""A plan: what a model takes and gives, as predicted and, where it was, as measured."""

from __future__ import annotations

from collections.abc import Iterator

from bench.plan.result import Plan, Speed
from bench.report.blocks import Definitions, Notes, Section, Table, Term, number
from bench.result import Result

HEADERS = ("", "prefill tok/s", "decode tok/s", "first token after", "whole answer after")


def sections(result: Result) -> Iterator[Section]:
    plan = result.plan
    if plan is None:
        return
    yield Section(f"{plan.prompt} tokens in, {plan.output} out, one request alone", (_speeds(plan), _formulas(plan)))
    yield Section("Memory", (Notes(tuple(_memory(plan))),))


def _speeds(plan: Plan) -> Table:
    found = (
        ("roofline of this host", plan.ceiling),
        ("predicted from a few layers", plan.predicted),
        ("measured, all layers", plan.measured),
    )
    return Table(HEADERS, tuple(_row(name, speed) for name, speed in found if speed))


def _row(name: str, speed: Speed) -> tuple[str, ...]:
    return name, number(speed.prefill_tok_s), number(speed.decode_tok_s), _time(speed.ttft_s), _time(speed.reply_s)


def _formulas(plan: Plan) -> Definitions:
    peaks = plan.peaks
    return Definitions(
        (
            Term(
                "roofline of this host",
                f"prompts at {peaks.flops_s / 1e9:.0f} GFLOP/s (float32 sgemm), steps at"
                f" {peaks.read_bytes_s / 1e9:.1f} GB/s, both measured just before with {peaks.threads} threads. Integer"
                " kernels, with AMX above all, can beat the first.",
            ),
            Term(
                "predicted from a few layers",
                "the time of the same model with 2 and with 6 of its layers in random weights, extended in a straight"
                " line; llama.cpp's bare loop: a server costs a few per cent more.",
            ),
        )
    )


def _memory(plan: Plan) -> Iterator[str]:
    yield f"{plan.parameters / 1e9:.2f} billion weights in {plan.quant}: {_size(plan.weight_bytes)}"
    cache = plan.context * plan.kv_bytes_per_token
    yield f"KV cache: {plan.kv_bytes_per_token / 1024:.1f} KiB a token at f16, {_size(cache)} for {plan.context} tokens"
    free = "" if plan.memory_available is None else f"; free here: {_size(plan.memory_available)}"
    yield f"together {_size(plan.memory_bytes)} beside llama.cpp's buffers{free}"
    if plan.measured_bytes is not None:
        yield f"the measuring process used at most {_size(plan.measured_bytes)}"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
