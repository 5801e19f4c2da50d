"""May these results be compared at all? Only what differs in one thing says anything about that thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.compare.side import Run, Side
from bench.errors import BenchError
from bench.result import Flag, Result

SAME: dict[str, Callable[[Result], object]] = {
    "scenario.hash": lambda result: result.scenario.hash if result.scenario else None,
    "model.sha256": lambda result: result.model.sha256 if result.model else None,
    "env.class": lambda result: environment_class(result),
}
"""What must be the same on both sides, by the name that a gate gives it."""


def environment_class(result: Result) -> str | None:
    """What of a machine decides its speed; not its libraries, since they may be what is compared."""
    host = result.environment
    if host.cpu_model is None and host.affinity is None:
        return None
    return f"{host.cpu_model}, {host.affinity} cores, CPU limit {host.cgroup_cpu}, memory limit {host.mem_max}"


def check_comparable(a: Side, b: Side, same: Sequence[str] = tuple(SAME), *, force: bool = False) -> list[Flag]:
    """The doubts that remain. Raises BenchError for what differs, unless forced."""
    differences = [text for name in same for text in _differences(name, a.runs + b.runs)]
    if differences and not force:
        raise BenchError("not comparable:\n" + "\n".join(differences) + "\n--force compares all the same")
    doubts = [Flag(code="differs", severity="suspect", text=text) for text in differences]
    runs = a.runs + b.runs
    return [*doubts, *_unknown(runs, same), *_incomplete(runs), *_prices(runs)]


def _differences(name: str, runs: Sequence[Run]) -> Iterator[str]:
    first = runs[0]
    for other in runs[1:]:
        was, found = SAME[name](first.result), SAME[name](other.result)
        if was != found:
            yield f"{name} differs: {was or 'unknown'} in {first.folder}, {found or 'unknown'} in {other.folder}"


def _unknown(runs: Sequence[Run], same: Sequence[str]) -> Iterator[Flag]:
    measures_requests = any(run.result.stages for run in runs)
    for name in same:
        if name == "scenario.hash" and not measures_requests:
            continue
        if all(SAME[name](run.result) is None for run in runs):
            text = f"no result says its {name}: that it is the same is for you to know"
            yield Flag(code="unknown", severity="suspect", text=text)


def _incomplete(runs: Sequence[Run]) -> Iterator[Flag]:
    for run in runs:
        if not run.result.complete:
            yield Flag(code="incomplete", severity="suspect", text=f"{run.folder} was stopped before its end")


def _prices(runs: Sequence[Run]) -> Iterator[Flag]:
    """Of costs: what their dollars rest on, where that was not verified or is not the same."""
    prices = list(dict.fromkeys(run.result.cost.price for run in runs if run.result.cost))
    if len(prices) > 1:
        yield Flag(code="price", severity="suspect", text="the prices differ, and so do costs at the same speed")
    for price in prices:
        if len(prices) > 1 or not price.verified:
            yield Flag(code="price", severity="suspect", text=f"dollars are those of {price.sku}: {price.words}")
