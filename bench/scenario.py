"""A scenario file (`bench.scenario/1`): what is asked of which targets, how often.

Two runs are comparable when their scenario hashes are equal: the hash covers every value and no comment or layout.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from bench.errors import BenchError
from bench.series import AnyLoad, Search, stages_of
from bench.slo import Slo
from bench.stages import AnyStage, Closed
from bench.strict import Strict


class TargetSpec(Strict):
    """Who is measured. What has a `url` is running already, the bench starts the others. The kind says what a server
    understands; kind `url` is any OpenAI-compatible one."""

    name: str = Field(min_length=1)
    kind: Literal["ours", "llama-server", "bare", "url"]
    url: str | None = Field(default=None, description="base address including /v1")
    model: str | None = Field(default=None, description="the name to ask for, where it differs from the scenario's")

    flash_attention: Literal["auto", "on", "off"] = Field(default="auto", description="of a llama-server; ours decides")

    @model_validator(mode="after")
    def _url_belongs_to_its_kind(self) -> Self:
        if self.kind == "url" and self.url is None:
            raise ValueError(f"target {self.name!r}: kind url needs a `url`")
        if self.kind == "bare" and self.url is not None:
            raise ValueError(f"target {self.name!r}: the bare loop has no `url`, it runs in a process of the bench")
        return self

    @property
    def started_here(self) -> bool:
        return self.url is None


class Sampling(Strict):
    temperature: float = Field(default=0.0, ge=0)
    seed: int = 7
    ignore_eos: bool = Field(default=True, description="sent only to kinds of server that know it")


class Workload(Strict):
    api: Literal["chat", "completions"] = "chat"
    cache: Literal["cold"] = "cold"
    sampling: Sampling = Sampling()


class Measure(Strict):
    rounds: int = Field(default=3, ge=1)
    warmup: int = Field(default=1, ge=0, description="short requests per client before each stage, not counted")


class Scenario(Strict):
    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["bench.scenario/1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str = Field(min_length=1, description="a model of the models folder")
    targets: tuple[TargetSpec, ...] = Field(min_length=1, description="the first is compared with each of the others")
    workload: Workload = Workload()
    load: tuple[AnyLoad, ...]
    slo: Slo | None = None
    measure: Measure = Measure()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for key, names in (("targets", [t.name for t in self.targets]), ("load", self._load_names())):
            if len(set(names)) < len(names):
                raise ValueError(f"{key}: two entries have the same name: {', '.join(names)}")
        return self

    def _load_names(self) -> list[str]:
        searches = [entry.name for entry in self.load if isinstance(entry, Search)]
        return [stage.name for stage in self.stages] + searches

    @model_validator(mode="after")
    def _loads_can_be_measured(self) -> Self:
        if not self.load:
            raise ValueError("load: ask for something: it has no entry")
        searches = [entry.name for entry in self.load if isinstance(entry, Search)]
        if searches and self.slo is None:
            raise ValueError(f"load {searches[0]!r} searches for goodput: say under `slo` what is good")
        arrivals = [*searches, *(stage.name for stage in self.stages if not isinstance(stage, Closed))]
        bare = [target.name for target in self.targets if target.kind == "bare"]
        if arrivals and bare:
            raise ValueError(
                f"the bare loop {bare[0]!r} knows no arrivals: leave it out, or make {arrivals[0]!r} closed"
            )
        return self

    @property
    def stages(self) -> list[AnyStage]:
        """What is known beforehand to be measured, sweeps stage by stage."""
        return stages_of(self.load)

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True)

    def restricted_to(self, names: list[str]) -> Scenario:
        """The same scenario with only these targets, in this order."""
        known = {target.name: target for target in self.targets}
        if unknown := [name for name in names if name not in known]:
            raise BenchError(f"no target {', '.join(unknown)} in scenario {self.name!r}; it has {', '.join(known)}")
        return self.model_copy(update={"targets": tuple(known[name] for name in names)})

    def with_rounds(self, rounds: int) -> Scenario:
        if rounds < 1:
            raise BenchError(f"rounds must be at least 1, not {rounds}")
        return self.model_copy(update={"measure": self.measure.model_copy(update={"rounds": rounds})})


def read_scenario(path: Path) -> Scenario:
    """Raises BenchError naming the file and every key at fault."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise BenchError(f"{path}: not valid YAML: {error}") from error
    return make_scenario(content, origin=str(path))


def make_scenario(content: object, *, origin: str) -> Scenario:
    """Raises BenchError naming the origin and every key at fault."""
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        faults = (f"{_key(fault['loc']) or 'scenario'}: {fault['msg']}" for fault in error.errors())
        raise BenchError("\n".join(f"{origin}: {fault}" for fault in faults)) from error


def _key(place: tuple[int | str, ...]) -> str:
    """As the file's author knows it: without the kind by which pydantic chose what an entry of `load` must be."""
    hidden = 2 if place[:1] == ("load",) else None
    return ".".join(str(part) for number, part in enumerate(place) if number != hidden)
