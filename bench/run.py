"""One bench run: targets side by side on one host, interleaved, one at a time, the same prompts for each.

Whatever ends the run, what was measured until then is kept: every request is a line of `requests.jsonl` as soon as its
stage has ended, and `result()` summarises what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.deployment import Deployment
from bench.errors import BenchError
from bench.load.arrivals import round_arrivals
from bench.load.curves import curves
from bench.load.findings import GoodputFound
from bench.load.goodput import GoodputSearch, attainment
from bench.neighbours import busy_neighbours
from bench.requests_file import append_requests
from bench.result import Result, ScenarioText
from bench.sample import Readings, Sample
from bench.scenario import Scenario
from bench.series import AnyLoad, Search, stages_of
from bench.session import Session
from bench.stages import AnyStage, Closed
from bench.summary import ratios, summarise
from bench.targets.make import Target
from bench.token_fit import USUAL, TokenFit, fit_tokens
from bench.turns import rotated
from bench.workload import Prompt, PromptSource

Progress = Callable[[str, int], None]
"""Told what happens now, and by how many requests the run has advanced."""


class Run:
    def __init__(
        self, scenario: Scenario, targets: Sequence[Target], out: Path, on_progress: Progress, *, command: str = "run"
    ) -> None:
        self.complete = False
        self._scenario = scenario
        self._targets = targets
        self._out = out
        self._on_progress = on_progress
        self._samples: list[Sample] = []
        self._searches: list[GoodputFound] = []
        self._session = Session(command, scenario.name)
        self._source = PromptSource(scenario, self._session.id)
        self._fits: dict[str, TokenFit] = {}

    async def calibrate(self) -> None:
        """Before `measure`."""
        self._on_progress("calibrating the client", 0)
        await self._session.calibrate(self._out)

    async def measure(self) -> None:
        """Start every target, go through the rounds, stop every target; also when cancelled in between."""
        async with AsyncExitStack() as started:
            for target in self._targets:
                self._on_progress(f"starting {target.spec.name}", 0)
                started.push_async_callback(target.stop)
                await target.start()
                if fit := await fit_tokens(target.prompt_tokens, self._session.id):
                    self._fits[target.spec.name] = fit
            for number in range(self._scenario.measure.rounds):
                for entry in self._scenario.load:
                    await self._measure(entry, number)
            self.complete = True

    async def _measure(self, entry: AnyLoad, number: int) -> None:
        targets = rotated(self._targets, number)
        if isinstance(entry, Search):
            for target in targets:
                await self._search(target, entry, number)
        for stage in stages_of([entry]):
            for target in targets:
                await self._sample(target, stage, number)

    async def _search(self, target: Target, entry: Search, number: int) -> None:
        assert self._scenario.slo is not None, "a scenario with a search has one"
        search = GoodputSearch(entry)
        try:
            while rate := search.next_rate():
                sample = await self._sample(target, entry.probe(rate), number)
                search.tell(rate, attainment(sample.records, self._scenario.slo))
        finally:
            self._searches.append(search.found(target.spec.name, number))

    async def _sample(self, target: Target, stage: AnyStage, number: int) -> Sample:
        self._on_progress(f"round {number + 1}, {stage.name}, {target.spec.name}", 0)
        await self._warm_up(target, stage, number)
        fit = self._fits.get(target.spec.name)
        sample = Sample(
            target.spec.name,
            stage,
            number,
            self._arrivals(stage, number),
            template_tokens=fit.template if fit else None,
        )
        self._samples.append(sample)
        before = self._read(target)
        try:
            count = len(sample.arrivals) or stage.num_requests
            prompts = self._prompts(target, stage, f"round {number}", count)
            async with busy_neighbours(stage.neighbours):
                await target.measure(prompts, sample)
            sample.host = self._read(target).use_since(before)
        finally:
            append_requests(self._out, sample.records)
        self._on_progress(f"round {number + 1}, {stage.name}, {target.spec.name}", stage.num_requests)
        return sample

    def _arrivals(self, stage: AnyStage, number: int) -> list[float]:
        return [] if isinstance(stage, Closed) else round_arrivals(stage, self._scenario.workload.sampling.seed, number)

    async def _warm_up(self, target: Target, stage: AnyStage, number: int) -> None:
        clients = self._scenario.measure.warm_up_of(stage)
        if clients is None:
            return
        sample = Sample(target.spec.name, clients, number)
        await target.measure(self._prompts(target, stage, f"warm-up {number}", clients.requests), sample)
        if failed := [record for record in sample.records if record.err]:
            raise BenchError(f"{target.spec.name} fails already at warm-up: {failed[0].err}")

    def _prompts(self, target: Target, stage: AnyStage, part: str, count: int) -> list[Prompt]:
        return self._source.prompts(stage, part=part, count=count, fit=self._fit(target))

    def _fit(self, target: Target) -> TokenFit:
        """One that tells no counts is given what the first of the others is given."""
        return self._fits.get(target.spec.name) or next(iter(self._fits.values()), USUAL)

    def _read(self, target: Target) -> Readings:
        """Two targets may be one server, with a model each."""
        servers = {_server(other): other for other in self._targets if _server(other) != _server(target)}
        others = [other.cpu_seconds() for other in servers.values()]
        known = [seconds for seconds in others if seconds is not None]
        return Readings.take(target.cpu_seconds(), sum(known) if len(known) == len(others) else None)

    def result(self, deployment: Deployment | None) -> Result:
        """The summary so far. Hashes the weights, so not while anything is measured."""
        stages = summarise(self._samples, self._scenario, self._session.calibration)
        return self._session.result(
            complete=self.complete,
            model_name=self._scenario.model,
            deployment=deployment,
            scenario=ScenarioText(hash=self._scenario.hash, text=self._scenario),
            targets=self._scenario.targets,
            stages=stages,
            ratios=ratios(stages, self._scenario),
            curves=list(curves(stages, self._samples, self._scenario)),
            searches=self._searches,
        )


def _server(target: Target) -> str:
    return target.spec.url or target.spec.name
