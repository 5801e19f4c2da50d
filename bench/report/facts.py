"""What a result was measured on: enough to measure it again."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Notes, Section
from bench.result import Result


def setting(result: Result) -> str:
    """One line: the model as it was served."""
    config = result.server_config
    if config is None:
        started = any(target.started_here for target in result.targets)
        return "as the models folder says" if started else "against servers that were running already"
    return f"{config.weights}, context {config.context_size}, {config.slots} slots, {config.threads} threads"


def sections(result: Result) -> Iterator[Section]:
    yield Section("What it was measured on", (Notes(tuple(_facts(result))),))


def _facts(result: Result) -> Iterator[str]:
    host = result.environment
    yield f"{host.cpu_model}, {host.affinity} of {host.cores} cores, memory {host.mem_total}, Linux {host.kernel}"
    yield f"Python {host.python}, " + ", ".join(f"{name} {found}" for name, found in host.libs.items() if found)
    yield from (f"{package}: {words}" for package, words in host.llama_cpp_features.items() if words)
    scenario = f", scenario {result.scenario.hash[:12]}" if result.scenario else ""
    yield f"service at commit {host.service_git or 'unknown'}{scenario}, run {result.id[:12]}"
    before, after = result.host_load.loadavg_before[0], result.host_load.loadavg_after[0]
    yield f"load average (1 min) {before:.2f} before, {after:.2f} after"
    if result.scenario:
        yield f"{result.scenario.text.measure.rounds} rounds"
    if result.model:
        yield f"weights SHA-256 {result.model.sha256}"
