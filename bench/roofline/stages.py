"""How much of this host each stage of a run used: MBU and MFU."""

from __future__ import annotations

from bench.result import Result, StageResult
from bench.roofline.arithmetic import prompt_flops, step_bytes
from bench.roofline.peaks import Peaks
from bench.roofline.result import Roofline, StageUse
from bench.stages import Closed
from core.gguf import GgufHeader


def roofline(result: Result, header: GgufHeader, peaks: Peaks, slots: int) -> Roofline:
    """Of the closed loops whose requests ended well; `slots` bounds how many of a stage's clients make one batch."""
    uses = [_use(stage, header, peaks, slots) for stage in result.stages]
    return Roofline(peaks=peaks, stages=[use for use in uses if use])


def _use(stage: StageResult, header: GgufHeader, peaks: Peaks, slots: int) -> StageUse | None:
    prompt, completion = stage.sum.prompt, stage.sum.completion
    if not (isinstance(stage.load, Closed) and stage.n_ok and prompt and completion):
        return None
    batch = min(stage.load.concurrency, slots)
    length = prompt / stage.n_ok
    depth = length + completion / stage.n_ok / 2
    decode, prefill = stage.rates.decode_tok_s, stage.rates.prefill_tok_s if batch == 1 else None
    flops = prompt_flops(header, round(length)) / length
    return StageUse(
        stage=stage.stage,
        target=stage.target,
        batch=batch,
        depth=depth,
        mbu=decode * step_bytes(header, batch=batch, depth=depth) / peaks.read_bytes_s if decode else None,
        mfu=prefill * flops / peaks.flops_s if prefill else None,
    )
