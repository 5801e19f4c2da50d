"""What `--target` and `--api-key-env` make of a scenario."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from bench.errors import BenchError
from bench.scenario import Scenario
from bench.target_spec import TargetSpec


def with_targets(scenario: Scenario, chosen: Sequence[str], api_key_env: str | None = None) -> Scenario:
    """`NAME=URL` gives a target that address, or adds one of kind url. Where there is a plain `NAME`, only what is
    chosen stays, in that order. `api_key_env` is for all targets with an address."""
    targets = {target.name: target for target in scenario.targets}
    split = [entry.partition("=") for entry in chosen]
    for name, is_address, url in split:
        if is_address:
            targets[name] = _at(url, targets.get(name), name)
    names = [name for name, _, _ in split] if any(not is_address for _, is_address, _ in split) else list(targets)
    if unknown := [name for name in names if name not in targets]:
        raise BenchError(f"no target {', '.join(unknown)} in scenario {scenario.name!r}; it has {', '.join(targets)}")
    kept = [targets[name] for name in dict.fromkeys(names)]
    return scenario.changed(targets=[_with_key(target, api_key_env) for target in kept])


def _at(url: str, known: TargetSpec | None, name: str) -> TargetSpec:
    values = known.model_dump() if known else {"name": name, "kind": "url"}
    try:
        return TargetSpec.model_validate(values | {"url": url})
    except ValidationError as error:
        raise BenchError(f"--target {name}={url}: {error.errors()[0]['msg']}") from error


def _with_key(target: TargetSpec, variable: str | None) -> TargetSpec:
    if variable is None or target.started_here:
        return target
    return target.model_copy(update={"api_key_env": variable})
