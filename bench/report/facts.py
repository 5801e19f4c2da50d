"""What a result was measured on: enough to measure it again."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from bench.environment import Environment
from bench.report.blocks import Block, Code, Notes, Section
from bench.result import Result, ScenarioText


def setting(result: Result) -> str:
    """One line: the model as it was served."""
    config = result.server_config
    if config is None:
        if result.host_load is None:
            return f"measured by {result.command}"
        if any(target.started_here for target in result.targets):
            return "as the models folder says"
        return "against servers that were running already" if result.targets else f"measured by bench {result.command}"
    said = "".join(f", {key} {value}" for key, value in config.context_keys.items())
    return f"{config.weights}, context {config.context_size}, {config.slots} slots, {config.threads} threads{said}"


def sections(result: Result) -> Iterator[Section]:
    yield Section("What it was measured on", (Notes(tuple(_facts(result))),))
    if result.scenario:
        yield Section("To measure it again", tuple(_recipe(result.scenario)))


def _recipe(scenario: ScenarioText) -> Iterator[Block]:
    """The scenario's text without what is at its default: it has the hash of the original."""
    name = f"{scenario.text.name}.yaml"
    content = scenario.text.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = yaml.safe_dump(content, sort_keys=False, width=120)
    yield Code(f"# {name}, hash {scenario.hash[:12]}\n{text}", "yaml")
    yield Code(f"warmfn bench run {name}\n", "sh")


def _facts(result: Result) -> Iterator[str]:
    host = result.environment
    parts = (host.cpu_model, _of_cores(host), host.mem_total and f"memory {host.mem_total}", _linux(host))
    yield ", ".join(part for part in parts if part) or "the machine is not known"
    if host.python:
        yield f"Python {host.python}, " + ", ".join(f"{name} {found}" for name, found in host.libs.items() if found)
    yield from (f"{package}: {words}" for package, words in host.llama_cpp_features.items() if words)
    scenario = f", scenario {result.scenario.hash[:12]}" if result.scenario else ""
    yield f"service at commit {host.service_git or 'unknown'}{scenario}, run {result.id[:12]}"
    if load := result.host_load:
        yield f"load average (1 min) {load.loadavg_before[0]:.2f} before, {load.loadavg_after[0]:.2f} after"
    if result.scenario:
        yield f"{result.scenario.text.measure.rounds} rounds"
    if result.model:
        yield f"weights SHA-256 {result.model.sha256}"


def _of_cores(host: Environment) -> str | None:
    return f"{host.affinity} of {host.cores} cores" if host.affinity else None


def _linux(host: Environment) -> str | None:
    return f"Linux {host.kernel}" if host.kernel else None
