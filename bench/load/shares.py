"""One load shared by several processes that do not talk while it runs: who sends what, and what they leave behind.

Worker w of n sends every n-th request, beginning with the w-th, and writes each of them, when it has ended, to a file
of its own; the file gets its final name when the worker has nothing more to write. All workers compute the same
arrivals, so those of all together are what one process alone would have sent.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load.arrivals import arrivals
from bench.load.curves import curves
from bench.record import RequestRecord
from bench.requests_file import REQUESTS_FILE
from bench.result import Result, ScenarioText
from bench.sample import HostUse, Sample
from bench.scenario import Scenario
from bench.series import stages_of
from bench.session import Session
from bench.stages import AnyStage, Closed
from bench.summary import summarise
from bench.workload import Prompt, PromptSource


@dataclass(frozen=True)
class Plan:
    """What every worker must know. `start` is perf_counter_ns, which counts alike in all processes of a host."""

    run: str
    scenario_json: str
    start: int
    workers: int
    out: str

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return cls(**json.loads(text))

    @property
    def scenario(self) -> Scenario:
        return Scenario.model_validate_json(self.scenario_json)

    @property
    def stage(self) -> AnyStage:
        (stage,) = stages_of(self.scenario.load)
        return stage

    def arrivals(self) -> list[float]:
        """As `bench run` would have them in its first round; none of a closed loop."""
        stage = self.stage
        seed = f"{self.scenario.workload.sampling.seed}/round 0"
        return [] if isinstance(stage, Closed) else arrivals(stage, seed)

    def turns(self, worker: int) -> Iterator[tuple[Prompt, RequestRecord]]:
        """The prompts of one worker, made now, and their records, made when they are taken: of a closed loop each is
        due then."""
        stage, due = self.stage, self.arrivals()
        count = len(due) or stage.num_requests
        texts = PromptSource(self.scenario, self.run).prompts(stage, part="round 0", count=count)
        sample = Sample(self.scenario.targets[0].name, stage, 0)

        def record(index: int) -> RequestRecord:
            made = sample.new_record(self.start + round(due[index] * 1e9) if due else None)
            made.index = index
            return made

        return ((texts[index], record(index)) for index in range(worker, count, self.workers))


class Rows:
    """The file of one worker. A row is on disk when `write` returns."""

    def __init__(self, out: Path, worker: int) -> None:
        self._path = worker_file(out, worker)
        self._part = self._path.with_suffix(".part")
        self._file = self._part.open("w", encoding="utf-8", buffering=1)

    def write(self, record: RequestRecord) -> None:
        self._file.write(record.line() + "\n")

    def close(self) -> None:
        self._file.close()
        self._part.rename(self._path)


def worker_file(out: Path, worker: int) -> Path:
    return out / f"requests-{worker}.jsonl"


def missing_workers(plan: Plan) -> list[int]:
    """Those that have not closed their files yet."""
    return [worker for worker in range(plan.workers) if not worker_file(Path(plan.out), worker).exists()]


def collect(plan: Plan, session: Session, *, complete: bool, host: HostUse | None) -> Result:
    """Join the workers' rows in `requests.jsonl`, in the order of their index, and summarise them."""
    out, scenario = Path(plan.out), plan.scenario
    records = sorted(_rows(plan), key=lambda record: record.index)
    sample = Sample(scenario.targets[0].name, plan.stage, 0, plan.arrivals(), records, host if complete else None)
    with (out / REQUESTS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(record.line() + "\n" for record in records)
    stages = summarise([sample], scenario, session.calibration) if records else []
    return session.result(
        complete=complete,
        model_name=scenario.model,
        scenario=ScenarioText(hash=scenario.hash, text=scenario),
        targets=list(scenario.targets),
        stages=stages,
        curves=list(curves(stages, [sample], scenario)) if records else [],
    )


def _rows(plan: Plan) -> Iterator[RequestRecord]:
    """Of every worker, also of one that never closed its file; only its last line may be cut."""
    for worker in range(plan.workers):
        path = worker_file(Path(plan.out), worker)
        for file in (path, path.with_suffix(".part")):
            if file.exists():
                lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
                yield from (RequestRecord.from_line(line) for line in lines if line.endswith("\n"))
                file.unlink()
