"""Five numbers and the one that binds, in words."""

from __future__ import annotations

from collections.abc import Mapping

from bench.context.latency import keeps
from bench.context.parts import EffectivePart, Ladder, LatencyPart, LengthScore, Limit, LimitName, MemoryPart, TaskScore
from bench.context.sequential import MAX_TEXTS, texts_to_resolve

NAMES: tuple[LimitName, ...] = ("advertised", "configured", "memory", "latency", "effective")
"""L0 to L4."""
NEAR = 0.9
"""What was tried up to this part of a limit was tried up to it: an answer needs room as well."""

REMEDIES: Mapping[LimitName, str] = {
    "advertised": "the model was trained for no more; for longer prompts take another one",
    "configured": "the server is set to it; raise context_size as far as the other limits allow",
    "memory": "no longer context fits; take fewer slots, a smaller KV cache type, a smaller model or more memory",
    "latency": "longer prompts answer too late for the SLO; take a faster host, a smaller model or repeated prefixes",
    "effective": "the model finds less in longer texts; keep prompts shorter, or take another model",
}


def build_ladder(limits: dict[LimitName, Limit], tried: int | None) -> Ladder:
    """`tried` is the longest prompt that was sent: where no limit is met up to it, none binds as far as one knows."""
    known = {name: limit.tokens for name in NAMES if (limit := limits[name]).tokens is not None and not limit.at_least}
    if not known:
        return Ladder(limits=limits, usable=tried, binding=None, verdict=_no_limit(limits, tried))
    binding = min(known, key=lambda name: known[name] or 0)
    least = known[binding] or 0
    if tried is not None and tried < NEAR * least and any(limit.at_least for limit in limits.values()):
        return Ladder(limits=limits, usable=tried, binding=None, verdict=_no_limit(limits, tried))
    fails_at = limits[binding].fails_at
    where = f", somewhere between {least:,} and {fails_at:,}" if fails_at else ""
    verdict = f"{least:,} tokens. The {binding} limit binds{where}: {REMEDIES[binding]}{_not_known(limits, least)}"
    return Ladder(limits=limits, usable=least, binding=binding, verdict=verdict)


def _not_known(limits: Mapping[LimitName, Limit], usable: int) -> str:
    """Limits that may lie below what is said to be usable."""
    unknown = [f"{name} ({limits[name].why})" for name in NAMES if limits[name].tokens is None]
    short = [
        f". The {name} limit may be less: all that is known is at least {tokens:,}"
        for name in NAMES
        if limits[name].at_least and (tokens := limits[name].tokens or 0) < NEAR * usable
    ]
    return "".join([*short, f". Not known: {'; '.join(unknown)}" if unknown else ""])


def _no_limit(limits: Mapping[LimitName, Limit], tried: int | None) -> str:
    if tried is None:
        return "nothing was measured"
    return f"no limit was met up to {tried:,} tokens, the longest prompt that was tried{_not_known(limits, tried)}"


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
    """The longest text that holds, below the first that fails; where none fails, at least that."""
    if part is None:
        return Limit(tokens=None, why="no questions were asked")
    left_out = [_inability(task) for task in part.tasks if not task.counts]
    if len(left_out) == len(part.tasks):
        return Limit(tokens=None, why=f"not even from a short text does the model answer: {', '.join(left_out)}")
    if not part.longer:
        return Limit(tokens=None, why="no questions were asked of longer texts")
    failed = next((score for score in part.longer if score.verdict == "fails"), None)
    tried = [score for score in part.longer if failed is None or score.length < failed.length]
    held = max((score.length for score in tried if score.verdict == "holds"), default=part.base.length)
    base = f"{part.base.right} of {part.base.n} right at {part.base.length:,} tokens"
    why = [f"up to here it keeps {part.threshold:.0%} of its score in the short text ({base})"]
    if failed:
        why.append(f"at {failed.length:,} it kept {_kept(failed)}")
    why += [_doubt(score, part) for score in tried if score.length > held]
    why += [f"left out, as the model cannot do it in a short text: {words}" for words in left_out]
    fails_at = failed.length if failed else None
    return Limit(tokens=held, at_least=failed is None, fails_at=fails_at, why="; ".join(why))


def _inability(task: TaskScore) -> str:
    return f"{task.task} {task.right} of {task.n} right, where chance is {task.chance:.0%}"


def _kept(score: LengthScore) -> str:
    return f"{score.kept_low:.0%} to {score.kept_high:.0%}"


def _doubt(score: LengthScore, part: EffectivePart) -> str:
    """A length beyond those that hold which could not be told to fail either."""
    texts = texts_to_resolve((score.right, score.n), (part.base.right, part.base.n), score.n // score.texts)
    remedy = f"--texts {texts} would tell" if texts else f"not even --texts {MAX_TEXTS} would tell"
    return f"undecided at {score.length:,}: it kept {_kept(score)}, {remedy}"
