"""Reasons to doubt that lie in the machine: who else used it, and what held it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench.result import Flag
from bench.sample import HostUse
from bench.target_spec import TargetSpec

CLIENT_CORES = 0.7
IDLE_CORES = 0.05
NEIGHBOUR_CORES = 0.1
NEIGHBOUR_SHARE = 0.5
"""Of the cores, where only the client is here."""
STEAL_CORES = 0.05
THROTTLED_SHARE = 0.01
CLOCK_SPREAD = 0.1
"""Of the mean clock, between two rounds."""

CORES: tuple[tuple[str, float, str, Callable[[HostUse], float | None]], ...] = (
    ("client_cpu", CLIENT_CORES, "the bench's own client", lambda use: use.client),
    ("idle_targets", IDLE_CORES, "targets that should have been idle", lambda use: use.idle_targets),
    ("steal", STEAL_CORES, "other tenants of the machine (steal)", lambda use: use.steal),
)


def doubts_of_machine(uses: Sequence[HostUse], neighbours: int = 0) -> Iterator[Flag]:
    """One for each round. As many cores were to be held by neighbours."""
    for code, limit, words, cores in CORES:
        used = _most(cores(use) for use in uses)
        if used > limit:
            yield Flag(code=code, severity="suspect", text=f"{words} used {used:.2f} cores in one round")
    yield from _busy_neighbours(uses, neighbours)
    throttled = _most(use.throttled for use in uses)
    if throttled > THROTTLED_SHARE:
        text = f"the cgroup's CPU quota was used up for {throttled:.0%} of a round"
        yield Flag(code="throttled", severity="suspect", text=text)
    clocks = [use.mhz for use in uses if use.mhz is not None]
    if clocks and max(clocks) - min(clocks) > CLOCK_SPREAD * max(clocks):
        text = f"the processor's clock was {min(clocks):.0f} MHz in one round and {max(clocks):.0f} in another"
        yield Flag(code="clock", severity="suspect", text=text)


def _busy_neighbours(uses: Sequence[HostUse], wanted: int) -> Iterator[Flag]:
    """Where a target computes here, whoever holds a core slows it down. One that is elsewhere leaves only the client to
    be slowed down, to which some core is enough."""
    used, most = max(((use.neighbours or 0.0, _most_allowed(use)) for use in uses), default=(0.0, 0.0))
    if used > most + wanted:
        text = f"other processes of this host, neither the bench nor its targets, used {used:.2f} cores in one round"
        yield Flag(code="neighbours", severity="suspect", text=text)


def _most_allowed(use: HostUse) -> float:
    is_elsewhere = use.target == 0.0 and use.num_cores is not None
    return NEIGHBOUR_SHARE * (use.num_cores or 0) if is_elsewhere else NEIGHBOUR_CORES


def _most(values: Iterator[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def doubts_of_builds(features: Mapping[str, str | None], targets: Sequence[TargetSpec]) -> list[Flag]:
    """Two copies of llama.cpp on one host are one machine only if both use its instructions."""
    started = {target.kind for target in targets if target.started_here}
    ours, theirs = features.get("llama-cpp-python"), features.get("xllamacpp")
    if not (ours and theirs and "llama-server" in started and started - {"llama-server"}):
        return []
    only_ours, only_theirs = _enabled(ours) - _enabled(theirs), _enabled(theirs) - _enabled(ours)
    sides = (("llama-cpp-python", only_ours), ("xllamacpp", only_theirs))
    words = [f"only {package} was compiled for {', '.join(sorted(extra))}" for package, extra in sides if extra]
    text = f"{'; '.join(words)}: ratios to llama-server compare compilers as well as servers"
    return [Flag(code="builds", severity="suspect", text=text)] if words else []


def _enabled(features: str) -> set[str]:
    """From llama.cpp's own line: `CPU : AVX2 = 1 | FMA = 1 | ...`."""
    return {name.strip() for part in features.split("|") for name, _, on in [part.partition("=")] if on.strip() == "1"}
