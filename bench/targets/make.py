"""What can be measured, and how each kind is started.

Every target is started before the first stage and stays up; one at a time is given work. The others wait on a socket or
a pipe, and the run checks that they use no processor while they do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.deployment import Deployment
from bench.sample import Sample
from bench.scenario import Scenario, TargetSpec, Workload
from bench.targets.bare_target import BareTarget
from bench.targets.http_target import HttpTarget, ServerProgram


class Target(Protocol):
    spec: TargetSpec

    async def start(self) -> None:
        """Return when it can be measured; raise BenchError with its last words if it never will be."""

    async def measure(self, prompts: Sequence[str], sample: Sample) -> None:
        """Work through the prompts as the sample's stage says; every request leaves its record in the sample."""

    def cpu_seconds(self) -> float | None:
        """Used so far by its processes, or None if they are not ours to see."""

    async def stop(self) -> None:
        """Also after a start that failed."""


def make_targets(scenario: Scenario, *, models: Path, deployment: Deployment | None, out: Path) -> list[Target]:
    """`deployment` may be None if every target has a URL. Their logs go to `out`."""
    return [_make(spec, scenario, models, deployment, out / f"{spec.name}.log") for spec in scenario.targets]


def our_server(deployment: Deployment, workload: Workload, log: Path) -> HttpTarget:
    """`warmfn serve` with this model loaded."""
    spec = TargetSpec(name="ours", kind="ours")
    program = _ours(Path(deployment.models), deployment)
    return HttpTarget(spec, model=deployment.name, workload=workload, log=log, program=program)


def _make(spec: TargetSpec, scenario: Scenario, models: Path, deployment: Deployment | None, log: Path) -> Target:
    if not spec.started_here:
        return HttpTarget(spec, model=scenario.model, workload=scenario.workload, log=log)
    assert deployment is not None, "only servers that run already do without one"
    if spec.kind == "bare":
        return BareTarget(spec, deployment=deployment, log=log)
    program = _ours(models, deployment) if spec.kind == "ours" else _llama_server(deployment, spec.flash_attention)
    return HttpTarget(spec, model=scenario.model, workload=scenario.workload, log=log, program=program)


def _ours(models: Path, deployment: Deployment) -> ServerProgram:
    serve = [sys.executable, "-m", "handlers.cli", "serve", "--models", str(models), "--preload", deployment.name]
    return ServerProgram(lambda port: [*serve, "--host", "127.0.0.1", "--port", str(port)], ready="/ready")


def _llama_server(deployment: Deployment, flash_attention: str) -> ServerProgram:
    serve = [sys.executable, "-m", "bench.targets.llama_server"]
    return ServerProgram(lambda port: [*serve, str(port), flash_attention, deployment.to_json()], ready="/health")
