"""All variants in turns, round after round, each start a process of its own. What was measured is kept, whatever ends
it: a request is a line of `requests.jsonl` as soon as it has ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from bench.cold.cold_start import ask, cold_start
from bench.cold.fresh_server import fresh_server
from bench.cold.imports import PROFILED, read_imports
from bench.cold.result import ColdPart, ColdSeries, ColdStart, Imports
from bench.cold.variant import OUR_KINDS, Variant
from bench.record import RequestRecord
from bench.requests_file import append_requests
from bench.stats import describe
from bench.turns import rotated

REHEARSAL = -1
"""Its number among the rounds."""
METRICS = ("listening_ms", "ready_ms", "sent_ms", "first_ms", "again_ms")

Progress = Callable[[str, int], None]
"""Told what happens now, and by how many starts the run has advanced."""


class ColdRun:
    """`run` is its id; logs and requests go to `out`."""

    def __init__(self, variants: Sequence[Variant], rounds: int, out: Path, run: str, on_progress: Progress) -> None:
        self.complete = False
        self._variants = variants
        self._rounds = rounds
        self._out = out
        self._run = run
        self._on_progress = on_progress
        self._first_variants = [next(group) for _, group in groupby(variants, lambda variant: variant.server)]
        self._starts: dict[Variant, list[ColdStart]] = {variant: [] for variant in variants}
        self._imports: list[Imports] = []

    @property
    def num_starts(self) -> int:
        return len(self._first_variants) + self._rounds * len(self._variants)

    async def measure(self) -> None:
        """Raises BenchError for a server that dies or refuses."""
        for variant in self._first_variants:
            await self._rehearse(variant)
        for number in range(self._rounds):
            for variant in rotated(self._variants, number):
                self._on_progress(f"round {number + 1}, {variant.server.spec.name}, {variant.name}", 0)
                log = self._log(variant)
                self._starts[variant].append(await cold_start(variant, number, self._run, log, self._keep))
                self._on_progress(f"round {number + 1}, {variant.server.spec.name}, {variant.name}", 1)
        self.complete = True

    async def _rehearse(self, variant: Variant) -> None:
        """A start that does not count, with its imports timed: the first one finds none of the programs in the page
        cache."""
        server = variant.server
        program = dataclasses.replace(server.program, environ={**server.program.environ, **PROFILED})
        self._on_progress(f"rehearsal, {server.spec.name}, {server.model}", 0)
        log = self._out / f"{server.spec.name}-{server.model}-imports.log"
        async with fresh_server(server.spec.name, program, log) as fresh:
            await ask(fresh, variant, REHEARSAL, 0, self._run, lambda record: None)
        if server.spec.kind in OUR_KINDS and (imports := read_imports(log, server.model, server.spec.name)):
            self._imports.append(imports)
        self._on_progress(f"rehearsal, {server.spec.name}, {server.model}", 1)

    def part(self) -> ColdPart:
        """What there is so far."""
        series = [_series(variant, starts) for variant, starts in self._starts.items() if starts]
        return ColdPart(rounds=self._rounds, series=series, imports=self._imports)

    def _log(self, variant: Variant) -> Path:
        """Of the last start of each server."""
        return self._out / f"{variant.server.spec.name}-{variant.server.model}.log"

    def _keep(self, record: RequestRecord) -> None:
        append_requests(self._out, [record])


def _series(variant: Variant, starts: list[ColdStart]) -> ColdSeries:
    return ColdSeries(
        model=variant.server.model,
        target=variant.server.spec.name,
        page_cache=variant.page_cache,
        prompt=variant.request.name,
        prefix=variant.request.knows_prefix,
        starts=starts,
        metrics={metric: describe([getattr(start, metric) for start in starts]) for metric in METRICS},
    )
