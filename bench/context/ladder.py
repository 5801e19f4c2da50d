"""Five numbers and the one that binds, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.context.latency import keeps
from bench.context.parts import EffectivePart, Ladder, LatencyPart, Limit, LimitName, MemoryPart, TaskScore
from bench.context.sequential import questions_to_resolve

NAMES: tuple[LimitName, ...] = ("advertised", "configured", "memory", "latency", "effective")
"""L0 to L4."""
NEAR = 0.9
"""What was tried up to this part of a limit was tried up to it: an answer needs room as well."""

REMEDIES: Mapping[LimitName, str] = {
    "advertised": "the model was trained for no more: take another model for longer prompts",
    "configured": "the server is set to it: raise context_size as far as the other limits allow",
    "memory": "no longer context fits: fewer slots, a smaller KV cache type, a smaller model or more memory",
    "latency": "longer prompts answer too late for the SLO: a faster host, a smaller model, or prefixes that repeat",
    "effective": "the model finds less in longer texts: keep prompts shorter, or take another model",
}


def build_ladder(limits: dict[LimitName, Limit], tried: int | None) -> Ladder:
    """`tried` is the longest prompt that was sent: where no limit is met up to it, none binds as far as one knows."""
    known = {name: limit.tokens for name in NAMES if (limit := limits[name]).tokens is not None and not limit.at_least}
    if not known:
        return Ladder(limits=limits, usable=tried, binding=None, verdict=_no_limit(tried))
    binding = min(known, key=lambda name: known[name] or 0)
    least = known[binding] or 0
    if tried is not None and tried < NEAR * least and any(limit.at_least for limit in limits.values()):
        return Ladder(limits=limits, usable=tried, binding=None, verdict=_no_limit(tried))
    unknown = [name for name in NAMES if limits[name].tokens is None]
    words = f"; not known: {', '.join(unknown)}" if unknown else ""
    verdict = f"{least:,} tokens, bound by the {binding} limit: {REMEDIES[binding]}{words}"
    return Ladder(limits=limits, usable=least, binding=binding, verdict=verdict)


def _no_limit(tried: int | None) -> str:
    if tried is None:
        return "nothing was measured"
    return f"no limit was met up to {tried:,} tokens, the longest prompt that was tried"


def memory_limit(part: MemoryPart | None, why_not: str) -> Limit:
    if part is None:
        return Limit(tokens=None, why=why_not)
    gib = part.budget_bytes / 2**30
    verified = max((point.context for point in part.points if point.measured_bytes is not None), default=None)
    loaded = f"loaded and measured at {verified:,}" if verified else "not verified"
    each = f"; {part.slots} at once of {part.tokens_each_slot:,}" if part.unified and part.slots > 1 else ""
    why = f"predicted for {gib:.1f} GiB of memory less {part.margin:.0%}, {loaded}{each}"
    return Limit(tokens=part.tokens, why=why)


def latency_limit(part: LatencyPart | None) -> Limit:
    if part is None or not part.timings:
        return Limit(tokens=None, why="nothing was timed")
    promised = part.slo.words
    top = max(timing.tokens for timing in part.timings)
    if all(keeps(timing, part.slo) for timing in part.timings if timing.tokens == top):
        return Limit(tokens=top, at_least=True, why=f"{promised}: kept at the longest prompt")
    if part.confirmed and part.predicted:
        return Limit(
            tokens=part.confirmed, why=f"{promised}: {part.predicted:,} predicted by the fit, measured and confirmed"
        )
    if part.predicted is None:
        return Limit(tokens=None, why=f"{promised}: broken at {top:,} tokens, and too few lengths for a fit")
    if not part.confirmations:
        return Limit(tokens=None, why=f"{promised}: {part.predicted:,} by the fits, not confirmed")
    least = min(timing.tokens for timing in part.confirmations)
    return Limit(tokens=0, why=f"{promised}: not kept from {part.predicted:,} tokens down to {least:,}")


def effective_limit(part: EffectivePart | None) -> Limit:
    """The least over the tasks that the model can do in a short text."""
    tasks = [task for task in part.tasks if task.why_not is None] if part else []
    if part is None or not any(task.longer for task in tasks):
        reasons = [f"{task.task}: {task.why_not}" for task in part.tasks if task.why_not] if part else []
        return Limit(tokens=None, why="; ".join(reasons) or "no questions were asked of longer texts")
    found = [(_held(task), task) for task in tasks if task.longer]
    tokens = min(held for held, _ in found)
    at_least = all(held == task.longer[-1].length for held, task in found)
    doubts = [doubt for _, task in found if (doubt := _doubt(task, up_to=tokens))]
    scores = ", ".join(f"{task.task} {_percent(task.base.right, task.base.n)} in the shortest text" for task in tasks)
    return Limit(tokens=tokens, at_least=at_least, why="; ".join([f"85 % of its own score ({scores})", *doubts]))


def _held(task: TaskScore) -> int:
    """The longest text up to which no length fails; an unresolved one counts by its score."""
    held = task.base.length
    for score in task.longer:
        if score.verdict == "fails" or (score.verdict == "unresolved" and score.right < task.threshold * score.n):
            break
        held = score.length
    return held


def _doubt(task: TaskScore, *, up_to: int) -> str | None:
    """The lengths that decide the limit and were not decided themselves."""
    near: Sequence[str] = [
        f"{score.length:,} tokens ({score.right}/{score.n}, --questions {needed or 'more'} would tell)"
        for index, score in enumerate(task.longer)
        if score.verdict == "unresolved" and (score.length <= up_to or task.longer[max(0, index - 1)].length <= up_to)
        for needed in [questions_to_resolve(score.right, score.n, task.threshold)]
    ]
    return f"{task.task} is unresolved at {', '.join(near)}" if near else None


def _percent(right: int, n: int) -> str:
    return f"{right / n:.0%}" if n else "n/a"
