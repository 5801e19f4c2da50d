"""Settings for a model, each with the measurement that it rests on, or with the command that would tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bench.advise.evidence import Evidence
from bench.result import StageResult
from bench.slo import Slo
from bench.stages import Closed
from bench.stats import Distribution
from core.limits import Decode


@dataclass(frozen=True)
class Advice:
    """`value` is None where nothing was measured; `basis` says then what to run. Of `in_yaml` are keys of a model's
    YAML, the others are set at the platform."""

    key: str
    value: int | str | None
    basis: str
    in_yaml: bool = True


def advise(evidence: Evidence) -> list[Advice]:
    context, slots = _context_size(evidence), _slots(evidence)
    return [context, slots, _kv(evidence, context.value, slots.value), *_fastest(evidence), _idle_timeout(evidence)]


def _context_size(evidence: Evidence) -> Advice:
    if evidence.context and evidence.context.ladder.usable:
        ladder = evidence.context.ladder
        bound = f", bound by the {ladder.binding} limit" if ladder.binding else ""
        return Advice("context_size", ladder.usable, f"usable context{bound} (bench context)")
    if evidence.limits and (usable := evidence.limits.limits.usable_context):
        return Advice("context_size", usable, "usable context (bench limits)")
    return _unknown(evidence, "context_size", "context")


def _slots(evidence: Evidence) -> Advice:
    """As many clients as were served within the SLO; failing that, the largest batch whose steps come fast enough."""
    slo = evidence.slo
    stages = [stage for stage in evidence.stages if isinstance(stage.load, Closed) and stage.verdict != "invalid"]
    if stages:
        good = [stage for stage in stages if _meets(stage, slo)]
        if not good:
            return Advice("slots", None, f"not even {_clients(min(stages, key=_clients))} clients were served in time")
        best = max(good, key=_clients)
        return Advice("slots", _clients(best), f"{_times(best)} with so many clients (stage {best.stage})")
    if evidence.limits:
        return _slots_by_steps(evidence.limits.limits.decode, slo)
    return _unknown(evidence, "slots", "load", "SCENARIO.yaml")


def _slots_by_steps(decode: tuple[Decode, ...], slo: Slo) -> Advice:
    """A step gives each sequence one token: the time between two tokens is batch / tok/s."""
    depth = max(found.depth for found in decode)
    gaps = {found.batch: 1e3 * found.batch / found.tok_s for found in decode if found.depth == depth}
    good = [batch for batch, gap in gaps.items() if gap <= slo.limits.get("itl_ms", math.inf)]
    if not good:
        return Advice("slots", None, f"a step takes {min(gaps.values()):.0f} ms at least: longer than the SLO's ITL")
    words = f"a step of so many sequences, {depth} tokens deep, takes {gaps[max(good)]:.0f} ms (bench limits; no load"
    return Advice("slots", max(good), f"{words} was measured)")


def _kv(evidence: Evidence, context: int | str | None, slots: int | str | None) -> Advice:
    """A cache for each slot where all of them fit, else one pool; on cards always one pool, as the server decides."""
    if evidence.limits is None:
        return _unknown(evidence, "kv", "limits")
    part = evidence.limits
    if part.limits.host.cards:
        return Advice("kv", "unified", f"computed on {', '.join(part.limits.host.cards)}")
    if evidence.memory is None:
        return Advice("kv", None, "the free memory is not known: say --memory")
    tokens = int(slots or part.slots) * int(context or part.limits.context_size)
    needed = part.weight_bytes + tokens * part.kv_bytes_per_token
    words = f"weights and {tokens:,} tokens of cache take {_mib(needed)} of {_mib(evidence.memory)}"
    return Advice("kv", "split" if needed <= evidence.memory else "unified", f"computed: {words}")


def _fastest(evidence: Evidence) -> Iterator[Advice]:
    if evidence.limits is None:
        yield from (_unknown(evidence, key, "limits") for key in ("threads", "threads_batch", "batch"))
        return
    part, limits = evidence.limits, evidence.limits.limits
    by_threads = {one.threads: one for one in part.threads}
    single, many = by_threads[limits.threads].decode_tok_s, by_threads[limits.threads_batch].prefill_tok_s
    rows = next(one.prefill_tok_s for one in part.batches if one.batch == limits.batch)
    yield Advice("threads", limits.threads, f"{single:.1f} decode tok/s (bench limits)")
    yield Advice("threads_batch", limits.threads_batch, f"{many:.1f} prefill tok/s (bench limits)")
    yield Advice("batch", limits.batch, f"{rows:.1f} prefill tok/s (bench limits)")


def _idle_timeout(evidence: Evidence) -> Advice:
    key = "idle timeout"
    if evidence.cost is None or evidence.cost.advice is None:
        words = "not measured: run `warmfn bench cost RESULT --sku SKU --cold-start S --per-hour N`"
        return Advice(key, None, words, in_yaml=False)
    advice, price = evidence.cost.advice, evidence.cost.price
    words = f"{100 * advice.cold:.1f} % of requests start a worker at {advice.per_hour:g} per hour on {price.sku}"
    return Advice(key, f"{advice.idle_timeout_s:.0f} s", f"{words} (bench cost)", in_yaml=False)


def _meets(stage: StageResult, slo: Slo) -> bool:
    found = {name: _tail(stage, name) for name in slo.limits}
    return all(time is not None and time <= slo.limits[name] for name, time in found.items())


def _times(stage: StageResult) -> str:
    return f"TTFT {_tail(stage, 'ttft_ms') or 0:.0f} ms, ITL {_tail(stage, 'itl_ms') or 0:.0f} ms"


def _tail(stage: StageResult, metric: str) -> float | None:
    """The 95th percentile, or where its samples do not support that, the highest that they do."""
    found: Distribution | None = stage.metrics.get(metric)
    return next((each for each in (found.p95, found.p90, found.p50) if each is not None), None) if found else None


def _clients(stage: StageResult) -> int:
    assert isinstance(stage.load, Closed)
    return stage.load.concurrency


def _unknown(evidence: Evidence, key: str, command: str, argument: str | None = None) -> Advice:
    return Advice(key, None, f"not measured: run `warmfn bench {command} {argument or evidence.model}`")


def _mib(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
