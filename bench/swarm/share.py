"""One process's share of a load, while its users work it off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

from gevent.pool import Pool
from locust.env import Environment
from locust.runners import WorkerRunner

from bench.errors import BenchError
from bench.load.shares import Plan, Rows
from bench.record import CUT_OFF, RequestRecord
from bench.request import request_path
from bench.stages import Closed
from bench.targets.programs import without_end
from bench.workload import Prompt

DONE = "bench_done"
"""The message of a process that has worked off its share."""


class Share:
    """What this process sends of a plan, and the file in which it says how that went."""

    def __init__(self, plan: Plan, number: int, environment: Environment) -> None:
        if number >= plan.workers or abs(plan.start - perf_counter_ns()) > 60e9:
            raise BenchError("workers must have joined before the run, and be processes of the master's own host")
        self.plan, self.stage, self.scenario = plan, plan.stage, plan.scenario
        self.api_key = self.scenario.targets[0].api_key()
        self.url = str(self.scenario.targets[0].url) + request_path(self.scenario.workload)
        self.model = self.scenario.targets[0].model or self.scenario.model
        ignore_eos = self.scenario.workload.sampling.ignore_eos
        self.extra = without_end(self.scenario.targets[0], None) if ignore_eos else {}
        self.is_dispatched = self.is_stopping = False
        self.reason = CUT_OFF
        self.pool = Pool(None if isinstance(self.stage, Closed) else self.stage.max_in_flight)
        self.rows = Rows(Path(plan.out), number)
        self._number, self._environment, self._turns = number, environment, plan.turns(number)
        self._is_winding_up = self._is_over = False
        self._cpu = time.process_time()

    def turns(self) -> Iterator[tuple[Prompt, RequestRecord]]:
        """Shared by all users of this process: each turn is taken once."""
        lasts = self.stage.duration if isinstance(self.stage, Closed) else None
        closes = None if lasts is None else self.plan.start + lasts * 1e9
        while not self.is_stopping and (closes is None or perf_counter_ns() < closes):
            if (turn := next(self._turns, None)) is None:
                return
            yield turn

    def wind_up(self) -> None:
        """Let what was sent finish, for as long as the drain allows, and tell whoever leads that this share is done."""
        if self._is_winding_up:
            return
        self._is_winding_up = True
        self.pool.join(timeout=self.stage.drain)
        self.end(CUT_OFF)
        runner = self._environment.runner
        cpu = time.process_time() - self._cpu if isinstance(runner, WorkerRunner) else 0.0  # the lead sees its own
        runner.send_message(DONE, {"worker": self._number, "cpu_s": cpu})

    def end(self, reason: str) -> None:
        """End what still runs: their records say why, and count."""
        if not self._is_over:
            self._is_over, self.reason = True, reason
            self.pool.kill()
            self.rows.close()
