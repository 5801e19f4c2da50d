"""One stage of one round on one target: its requests as far as they got, and who used the processors meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns

from bench.host import clock_mhz, cpu_times, throttled_seconds
from bench.record import RequestRecord
from bench.stages import AnyStage


@dataclass(frozen=True)
class HostUse:
    """Processor use of this host in cores (1.0 = one core all the time), of which there are `num_cores`. A target that
    is elsewhere uses none; None where a target's processes are here and not ours to see. `throttled` is the share of
    the time in which our cgroup had used up its quota, `mhz` the mean clock at the end; None where the kernel does not
    tell."""

    client: float
    target: float | None
    idle_targets: float | None
    neighbours: float | None
    steal: float
    throttled: float | None = None
    mhz: float | None = None
    num_cores: int | None = None


@dataclass
class Sample:
    """`arrivals` are the seconds after its start at which the requests of an open loop are due, `template_tokens` what
    the target adds to each prompt, where it is known."""

    target: str
    stage: AnyStage
    round: int
    arrivals: Sequence[float] = ()
    records: list[RequestRecord] = field(default_factory=list)
    host: HostUse | None = None
    template_tokens: int | None = None

    def new_record(self, due: int | None = None) -> RequestRecord:
        """A record of a request that is due now, or was at `due` (perf_counter_ns)."""
        record = RequestRecord(
            target=self.target,
            stage=self.stage.name,
            round=self.round,
            index=len(self.records),
            isl_req=self.stage.prompts.isl * self.stage.prompts.batch,
            osl_req=self.stage.prompts.osl,
            t_sched=perf_counter_ns() if due is None else due,
            template_tokens=self.template_tokens and self.template_tokens * self.stage.prompts.batch,
        )
        self.records.append(record)
        return record

    @property
    def started(self) -> int:
        """When the open loop began (perf_counter_ns)."""
        return self.records[0].t_sched - round(self.arrivals[self.records[0].index] * 1e9)


@dataclass(frozen=True)
class Readings:
    """Processor seconds used so far, and when that was read."""

    at: float
    client: float
    target: float | None
    idle_targets: float | None
    busy: float
    steal: float
    throttled: float | None

    @classmethod
    def take(cls, target: float | None, idle_targets: float | None) -> Readings:
        cpu = cpu_times()
        client, throttled = time.process_time(), throttled_seconds()
        return cls(time.perf_counter(), client, target, idle_targets, cpu.busy, cpu.steal, throttled)

    def use_since(self, earlier: Readings, *, other_clients: float = 0.0) -> HostUse:
        """`other_clients` are the processor seconds of clients in other processes than this one."""
        wall = self.at - earlier.at
        client = (self.client - earlier.client + other_clients) / wall
        target = _rate(earlier.target, self.target, wall)
        idle_targets = _rate(earlier.idle_targets, self.idle_targets, wall)
        known = None if target is None or idle_targets is None else client + target + idle_targets
        busy = (self.busy - earlier.busy) / wall
        neighbours = None if known is None else max(0.0, busy - known)
        steal = (self.steal - earlier.steal) / wall
        throttled = _rate(earlier.throttled, self.throttled, wall)
        return HostUse(client, target, idle_targets, neighbours, steal, throttled, clock_mhz(), os.cpu_count())


def _rate(before: float | None, after: float | None, wall: float) -> float | None:
    return None if before is None or after is None else (after - before) / wall
