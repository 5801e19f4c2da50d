"""How much of this host each stage of a run used: MBU and MFU."""

from __future__ import annotations

from bench.result import Result, StageResult
from bench.roofline.arithmetic import prompt_flops, step_bytes
from bench.roofline.peaks import Peaks
from bench.roofline.result import Roofline, StageUse
from core.gguf import GgufHeader


def roofline(result: Result, header: GgufHeader, peaks: Peaks, slots: int) -> Roofline:
    """Of the stages whose requests ended well; `slots` bounds how many of a stage's clients make one batch."""
    return Roofline(peaks=peaks, stages=[_use(s, header, peaks, slots) for s in result.stages if s.n_ok])


def _use(stage: StageResult, header: GgufHeader, peaks: Peaks, slots: int) -> StageUse:
    batch = min(stage.load.concurrency, slots)
    length = stage.sum.prompt / stage.n_ok
    depth = length + stage.sum.completion / stage.n_ok / 2
    decode, prefill = stage.rates.decode_tok_s, stage.rates.prefill_tok_s if batch == 1 else None
    per_token = prompt_flops(header, round(length)) / length if length else 0.0
    return StageUse(
        stage=stage.stage,
        target=stage.target,
        batch=batch,
        depth=depth,
        mbu=decode * step_bytes(header, batch=batch, depth=depth) / peaks.read_bytes_s if decode else None,
        mfu=prefill * per_token / peaks.flops_s if prefill else None,
    )
