"""Who plans a load that is shared by several processes, hears of the shares that are done, and writes the result."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from time import perf_counter_ns

from bench.calibrate.calibration import Calibration
from bench.commands.options import EXIT_INTERRUPTED, write
from bench.load.shares import Plan, collect, missing_workers
from bench.result import Result
from bench.sample import Readings
from bench.scenario import Scenario
from bench.session import Session
from bench.targets.given_server import GivenServer

POLL_SECONDS = 0.05
SLOWER_WORKER = 3
"""Several of them make their prompts at once."""


class Lead:
    """`calibration` is of the client that the workers use. `starts_in` (seconds) must be enough for every worker to
    have the plan; the time to make prompts is added."""

    def __init__(
        self, scenario: Scenario, calibration: Calibration, *, workers: int, starts_in: float, out: Path
    ) -> None:
        self._session = Session("locust", scenario.name)
        self._session.calibration = calibration
        plan = Plan(self._session.id, scenario.model_dump_json(by_alias=True), 0, workers, str(out))
        began = perf_counter_ns()
        plan.turns(0)
        preparing = SLOWER_WORKER * (perf_counter_ns() - began)
        self.plan = dataclasses.replace(plan, start=perf_counter_ns() + preparing + round(starts_in * 1e9))
        self._cpu_seconds: dict[int, float] = {}
        self._server = GivenServer(str(scenario.targets[0].url))
        self._before = self._read()
        self._result: Result | None = None

    def _read(self) -> Readings:
        return Readings.take(self._server.cpu_seconds(), 0.0)

    def hear(self, worker: int, cpu_s: float) -> bool:
        """A worker is done and used so much of a processor, besides what this process used. Whether it was the last of
        them."""
        self._cpu_seconds[worker] = cpu_s
        return len(self._cpu_seconds) == self.plan.workers

    def result(self, patience: float) -> Result:
        """Written when it is first asked for; for so many seconds it waits for workers that are still stopping."""
        if self._result is None:
            give_up = time.monotonic() + patience
            while missing_workers(self.plan) and time.monotonic() < give_up:
                time.sleep(POLL_SECONDS)
            use = self._read().use_since(self._before, other_clients=sum(self._cpu_seconds.values()))
            complete = len(self._cpu_seconds) == self.plan.workers
            self._result = collect(self.plan, self._session, complete=complete, host=use)
            write(self._result, Path(self.plan.out))
        return self._result


def verdict(result: Result, attain: float) -> int:
    """The exit code: 1 if a request failed, or less than the share `attain` met the SLO, where there is one."""
    if not result.complete:
        return EXIT_INTERRUPTED
    for stage in result.stages:
        if stage.n_ok != stage.n_sent or (stage.goodput and (stage.goodput.share or 0.0) < attain):
            return 1
    return 0
