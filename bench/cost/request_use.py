"""What a mean request takes of a worker that is kept busy, from a measured stage or from given rates."""

from __future__ import annotations

from bench.cost.result import RequestUse
from bench.errors import BenchError
from bench.result import Result, StageResult


def from_rates(tokens_in: float, tokens_out: float, *, prefill_tok_s: float, tok_s: float) -> RequestUse:
    """Of one request at a time. Raises BenchError for what is not positive."""
    if min(tokens_in, tokens_out, prefill_tok_s, tok_s) <= 0:
        raise BenchError("tokens and rates must be more than 0")
    prefill_s, decode_s = tokens_in / prefill_tok_s, tokens_out / tok_s
    busy_s = prefill_s + decode_s
    basis = f"{prefill_tok_s:g} prefill and {tok_s:g} decode tok/s, as given"
    return RequestUse(
        tokens_in=tokens_in, tokens_out=tokens_out, busy_s=busy_s, prefill_share=prefill_s / busy_s, basis=basis
    )


def from_result(result: Result) -> RequestUse:
    """Of the first target's stage with the highest throughput that may be believed. Raises BenchError where there is
    none."""
    own = [stage for stage in result.stages if stage.target == result.stages[0].target]
    uses = [(stage.rates.out_tok_s or 0.0, use) for stage in own if (use := _of_stage(stage))]
    if not uses:
        raise BenchError(f"result {result.id[:12]} has no valid stage with token counts and rates of prompt and answer")
    return max(uses, key=lambda found: found[0])[1]


def _of_stage(stage: StageResult) -> RequestUse | None:
    """The split is that of one request's own time: prompt / prefill tok/s beside answer / decode tok/s."""
    rates, total, count = stage.rates, stage.sum, stage.n_ok
    if not (count and total.prompt and total.completion and stage.verdict != "invalid"):
        return None
    if not (rates.out_tok_s and rates.prefill_tok_s and rates.decode_tok_s):
        return None
    tokens_in, tokens_out = total.prompt / count, total.completion / count
    prefill_s, decode_s = tokens_in / rates.prefill_tok_s, tokens_out / rates.decode_tok_s
    return RequestUse(
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        busy_s=tokens_out / rates.out_tok_s,
        prefill_share=prefill_s / (prefill_s + decode_s),
        basis=f"stage {stage.stage} of {stage.target}, {rates.out_tok_s:.1f} out tok/s",
    )
