"""The limits of a context: the ladder with what binds, then each limit with what was seen of it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.context.latency import value_at
from bench.context.parts import ContextPart, EffectivePart, Fit, LatencyPart, MemoryPart, OverflowPart, TaskScore
from bench.context.parts import Limit as Bound
from bench.report.blocks import Block, Definitions, Finding, Notes, Section, Table, Term, Text, number
from bench.report.figures import BarPlot, HeatMap, Limit, LinePlot, Series
from bench.result import Result

LEVELS = {"advertised": "L0", "configured": "L1", "memory": "L2", "latency": "L3", "effective": "L4"}
MEANINGS = {
    "advertised": "the model was trained for",
    "configured": "the server takes",
    "memory": "fits into memory",
    "latency": "is answered in time (SLO)",
    "effective": "the model still makes use of",
}
KEPT = "kept of its score"
FIT_POINTS = 40
FATES = {
    "refused": "refused, as it should be",
    "truncated": "cut without a word: answers are given on a part of the prompt",
    "accepted": "read to the end: the context is longer than the server says",
    "clamped": "cut short without a word: the answer ends where the context does",
    "ended": "the model ended its answer before the context did, so nothing is known",
    "unclamped": "written to the end: the context is longer than the server says",
    "failed": "failed",
}


def sections(result: Result) -> Iterator[Section]:
    part = result.context
    if part is None:
        return
    yield Section("How long a prompt may be", tuple(_ladder(part)))
    if part.memory:
        yield Section("Memory", tuple(_memory(part.memory)))
    if part.latency:
        yield Section("Latency", tuple(_latency(part.latency)))
    if part.effective:
        yield Section("What the model makes of its context", tuple(_effective(part.effective, part.seed)))
    if part.overflow:
        yield Section("More than fits", (_overflow(part.overflow),))


def findings(result: Result) -> Iterator[Finding]:
    if result.context:
        yield Finding("Usable context", f"{result.context.ladder.verdict}.")


def _ladder(part: ContextPart) -> Iterator[Block]:
    ladder = part.ladder
    yield Text(f"Usable: {ladder.verdict}.")
    rows = [
        (
            f"{LEVELS[name]} {name}: {MEANINGS[name]}",
            _tokens(limit),
            "binds" if name == ladder.binding else "-",
        )
        for name, limit in ladder.limits.items()
    ]
    yield Table(("limit: the longest prompt that ...", "tokens", "usable"), tuple(rows))
    yield Notes(tuple(f"{name}: {limit.why}" for name, limit in ladder.limits.items()))
    if part.reuses_prefixes is not None:
        reused = "without reading it again" if part.reuses_prefixes else "by reading it again: it keeps no prefixes"
        yield Text(f"A further question on one text was answered {reused}.")
    yield BarPlot(
        "Five limits of a context",
        "The usable context is the shortest bar. A limit that was not met reaches at least as far as was tried.",
        "tokens",
        tuple(f"{LEVELS[name]} {name}" for name in ladder.limits),
        {"limit": tuple(None if (t := limit.tokens) is None else float(t) for limit in ladder.limits.values())},
    )


def _memory(part: MemoryPart) -> Iterator[Block]:
    kind = "one pool, which one request may fill" if part.unified else f"a cache for each of {part.slots} slots"
    yield Notes(
        (
            f"predicted = {_mib(part.fixed_bytes)} MiB measured at the smallest context + KV cache (exact) +"
            f" compute buffers (bounded from above); laid out as {kind}.",
            f"budget {part.budget_bytes / 2**30:.2f} GiB, of which {part.margin:.0%} stay free",
            *(
                f"{curve.cache_type} keys and values: {curve.bytes_per_token:,} bytes a token,"
                f" {curve.tokens:,} tokens fit (predicted)"
                for curve in part.curves
            ),
        )
    )
    rows = [
        (
            f"{p.context:,}",
            _mib(p.predicted_bytes),
            _mib(p.measured_bytes),
            p.error or _off(p.measured_bytes, p.predicted_bytes),
        )
        for p in part.points
    ]
    yield Table(("context", "predicted MiB", "measured MiB", "measured / predicted"), tuple(rows))
    yield _memory_plot(part)


def _memory_plot(part: MemoryPart) -> LinePlot:
    x = tuple(float(context) for context in part.contexts)
    predicted = [
        Series(f"predicted, {c.cache_type}", x, tuple(b / 2**20 for b in c.predicted_bytes), dashed=True)
        for c in part.curves
    ]
    measured = Series(
        "measured",
        tuple(float(point.context) for point in part.points),
        tuple(None if point.measured_bytes is None else point.measured_bytes / 2**20 for point in part.points),
        is_points=True,
    )
    return LinePlot(
        "Memory against context",
        "Resident bytes of a process with weights, KV cache and compute buffers; keys and values of one type.",
        "context (tokens)",
        "memory (MiB)",
        (*predicted, measured),
        (Limit("budget", part.budget_bytes / 2**20),) if part.contexts[-1] >= part.tokens else (),
    )


def _latency(part: LatencyPart) -> Iterator[Block]:
    notes = [f"SLO: {part.slo.words}"]
    if part.ttft_fit:
        notes.append(f"TTFT(L) = {_formula(part.ttft_fit)} ms, L in tokens; least squares of relative errors")
    if part.itl_fit:
        notes.append(f"ITL(L) = {_formula(part.itl_fit)} ms")
    if part.predicted is not None:
        told = f"{part.confirmed:,} tokens kept it" if part.confirmed else "no length kept it"
        notes.append(f"the SLO ends at {part.predicted:,} tokens by the fits; measured from there downwards, {told}")
    yield Notes(tuple(notes))
    yield _timing_plot(part, "TTFT against the prompt's length", "TTFT (ms)", part.ttft_fit, "ttft_ms")
    yield _timing_plot(part, "Time between tokens at depth", "ITL (ms)", part.itl_fit, "itl_ms")


def _timing_plot(part: LatencyPart, title: str, y_label: str, fit: Fit | None, name: str) -> LinePlot:
    timings = (*part.timings, *part.confirmations)
    points = Series(
        "measured",
        tuple(float(timing.tokens) for timing in timings),
        tuple(getattr(timing, name) for timing in timings),
        is_points=True,
    )
    top = max(timing.tokens for timing in timings)
    grid = tuple(top * k / FIT_POINTS for k in range(1, FIT_POINTS + 1))
    fitted = [Series("fit", grid, tuple(value_at(fit, x) for x in grid), dashed=True)] if fit else []
    caption = "Each point is one prompt that no cache had seen, one at a time on an idle server."
    limits = tuple(Limit("SLO", limit) for limited, limit in part.slo.limits.items() if limited == name)
    return LinePlot(title, caption, "prompt (tokens)", y_label, (points, *fitted), limits)


def _effective(part: EffectivePart, seed: int) -> Iterator[Block]:
    base = part.base
    yield Text(
        f"Numbers are hidden in texts of each length (--seed {seed}) and asked for, the same ones at every length. "
        f"What the model cannot do in the shortest text, of {base.length:,} tokens, does not count."
    )
    yield Table(
        ("task in the shortest text", "right", "chance", "counts"),
        tuple((t.task, f"{t.right}/{t.n}", f"{t.chance:.0%}", "yes" if t.counts else "no") for t in part.tasks),
    )
    if base.n:
        yield Text(
            f"A longer text holds where the model keeps {part.threshold:.0%} of its {base.right}/{base.n} and fails "
            "where it does not; with that inside the interval it is unresolved, and more texts (--texts) would tell."
        )
        yield Table(
            ("tokens", "right", KEPT, "verdict"),
            tuple(
                (f"{s.length:,}", f"{s.right}/{s.n}", f"{s.kept_low:.0%} to {s.kept_high:.0%}", s.verdict)
                for s in part.longer
            ),
        )
        yield Definitions((Term(KEPT, _kept_formula(part)),))
    else:
        yield Text("The model can do none of it even there, so there is nothing that a longer text could take away.")
    yield from (_heat_map(part, task) for task in part.tasks)


def _kept_formula(part: EffectivePart) -> str:
    return (
        f"(right / asked) / (right / asked in the shortest text), all tasks that count together; 95 % interval of a "
        f"ratio from Wilson's of both (MOVER-R), stratified by task, for looks after each of up to {part.max_texts} "
        f"texts (Pocock); effective while {part.threshold:.0%} is kept, after NoLiMa (arXiv 2502.05167)"
    )


def _heat_map(part: EffectivePart, task: TaskScore) -> HeatMap:
    cells = {(cell.length, cell.depth): cell for cell in part.cells if cell.task == task.task}
    lengths = sorted({length for length, _ in cells})
    depths = sorted({depth for _, depth in cells})
    found = [[cells.get((length, depth)) for length in lengths] for depth in depths]
    return HeatMap(
        f"Right answers by length and depth: {task.task}",
        "The share of questions answered with the right number (right / asked). Depth 0 is the beginning of the text.",
        "text (tokens)",
        "depth of the fact (%)",
        tuple(f"{length:,}" for length in lengths),
        tuple(str(depth) for depth in depths),
        tuple(tuple(cell.right / cell.n if cell and cell.n else None for cell in row) for row in found),
        tuple(tuple(f"{cell.right}/{cell.n}" if cell else "" for cell in row) for row in found),
    )


def _overflow(part: OverflowPart) -> Notes:
    prompt, answer = part.prompt, part.answer
    counted = f", {prompt.counted_tokens:,} tokens counted" if prompt.counted_tokens else ""
    lines = [
        f"a prompt of about {prompt.sent_tokens:,} tokens: {FATES[prompt.behaviour]} (HTTP {prompt.status}"
        f"{f', code {prompt.code}' if prompt.code else ''}{counted})",
        f"{answer.max_tokens} tokens asked for behind a prompt of {answer.prompt_tokens:,}: {FATES[answer.behaviour]}"
        f" (HTTP {answer.status}{f', code {answer.code}' if answer.code else ''}"
        f"{f', {answer.completion_tokens} tokens, finish_reason {answer.finish}' if answer.finish else ''})",
    ]
    if prompt.canary_known is not None:
        lines.append(_canary(prompt.canary_known, control=prompt.canary_known_when_short))
    lines += [f"the server's own words: {words}" for words in (*prompt.notices, *answer.notices)]
    return Notes(tuple(lines))


def _canary(known: bool, *, control: bool) -> str:
    if not control:
        return "the password at the beginning is not told even from a short text, so it tells nothing here"
    return "the password at the beginning is still known" if known else "the password at the beginning is lost"


def _formula(fit: Fit) -> str:
    powers = ("", " L", " L^2")
    terms = [f"{value:.4g}{power}" for value, power in zip(fit.coefficients, powers, strict=False) if value]
    return " + ".join(terms) or "0"


def _tokens(limit: Bound) -> str:
    if limit.tokens is None:
        return "unknown"
    fails_at = f", fails at {limit.fails_at:,}" if limit.fails_at else ""
    return f"{'at least ' if limit.at_least else ''}{limit.tokens:,}{fails_at}"


def _mib(value: int | None) -> str:
    return number(None if value is None else value / 2**20)


def _off(measured: int | None, predicted: int) -> str:
    return number(None if measured is None else measured / predicted, 3)
