"""What can be measured, and how each kind is started.

Every target is started before the first stage and stays up; one at a time is given work. The others wait on a socket or
a pipe, and the run checks that they use no processor while they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.deployment import Deployment
from bench.sample import Sample
from bench.scenario import Scenario
from bench.target_spec import TargetSpec
from bench.targets import programs
from bench.targets.bare_target import BareTarget
from bench.targets.doors import Door, PipeDoor, ProgramDoor, RunPodDoor, UrlDoor
from bench.targets.programs import ServerProgram
from bench.targets.served import ServedTarget
from bench.workload import Prompt


class Target(Protocol):
    spec: TargetSpec

    async def start(self) -> None:
        """Return when it can be measured; raise BenchError with its last words if it never will be."""

    async def measure(self, prompts: Sequence[Prompt], sample: Sample) -> None:
        """Work through the prompts as the sample's stage says; every request leaves its record in the sample."""

    async def prompt_tokens(self, prompt: Prompt) -> int | None:
        """As it counts them, the chat template included; None where it does not tell."""

    def cpu_seconds(self) -> float | None:
        """Used so far by its processes on this host, or None if they are not ours to see."""

    async def stop(self) -> None:
        """Also after a start that failed."""


def make_targets(scenario: Scenario, *, models: Path, deployment: Deployment | None, out: Path) -> list[Target]:
    """`deployment` may be None if no target needs one. Their logs go to `out`."""
    return [_make(spec, scenario, models, deployment, out / f"{spec.name}.log") for spec in scenario.targets]


def our_door(deployment: Deployment, log: Path) -> ProgramDoor:
    """`warmfn serve` with this model loaded."""
    program = programs.ours(Path(deployment.models), deployment.name)
    return ProgramDoor(TargetSpec(name="ours", kind="ours"), program, log)


def _make(spec: TargetSpec, scenario: Scenario, models: Path, deployment: Deployment | None, log: Path) -> Target:
    if spec.kind == "bare":
        assert deployment is not None, "it needs one"
        return BareTarget(spec, deployment=deployment, log=log)
    ignore_eos = scenario.workload.sampling.ignore_eos
    extra = programs.without_end(spec, deployment) if ignore_eos else {}
    door = _door(spec, scenario.model, models, deployment, log)
    return ServedTarget(spec, door, model=scenario.model, workload=scenario.workload, extra=extra)


def _door(spec: TargetSpec, model: str, models: Path, deployment: Deployment | None, log: Path) -> Door:
    if spec.transport == "poll":
        return RunPodDoor(spec)
    if not spec.started_here:
        return UrlDoor(spec)
    if spec.kind == "in-process":
        return PipeDoor(spec, programs.our_environment(models, model), log)
    return ProgramDoor(spec, program_of(spec, model, models, deployment), log)


def program_of(spec: TargetSpec, model: str, models: Path, deployment: Deployment | None) -> ServerProgram:
    """Of a kind that is started here and listens. Foreign ones need a deployment."""
    if spec.kind == "ours":
        return programs.ours(models, model)
    if spec.kind == "functions":
        return programs.functions(models, model)
    assert deployment is not None, f"kind {spec.kind} needs one"
    if spec.kind == "llama-server":
        return programs.llama_server(deployment, spec.flash_attention)
    return programs.llama_cpp_python(deployment)


def needs_deployment(scenario: Scenario) -> bool:
    """Texts from weights on this host: every target is given the same context, slots and threads."""
    return scenario.workload.api != "embeddings" and any(target.started_here for target in scenario.targets)
