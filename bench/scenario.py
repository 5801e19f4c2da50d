"""A scenario file (`bench.scenario/1`): what is asked of which targets, how often.

Two runs are comparable when their scenario hashes are equal: the hash covers every value and no comment or layout.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from bench.errors import BenchError
from bench.files import read_yaml
from bench.prompt_spec import Api, Cache, Prompts
from bench.series import AnyLoad, Search, stages_of
from bench.slo import Slo
from bench.stages import AnyStage, Closed
from bench.strict import Strict
from bench.target_spec import TargetSpec

WARMUP_TOKENS = 8
TEXT_ONLY_KINDS = ("llama-cpp-python",)


class Sampling(Strict):
    temperature: float = Field(default=0.0, ge=0)
    seed: int = 7
    ignore_eos: bool = Field(default=True, description="sent only to kinds of server that know it")


class Workload(Strict):
    api: Api = "chat"
    cache: Cache = Field(default="cold", description="cold: every prompt begins with words that no cache has seen")
    sampling: Sampling = Sampling()


class Measure(Strict):
    rounds: int = Field(default=3, ge=1)
    warmup: int = Field(default=1, ge=0, description="short requests per client before each stage, not counted")

    def warm_up_of(self, stage: AnyStage) -> Closed | None:
        """Short answers to other prompts, so that threads, connections and template caches are awake."""
        if self.warmup == 0:
            return None
        short = stage.prompts.model_copy(update={"osl": min(WARMUP_TOKENS, stage.prompts.osl)})
        count = self.warmup * stage.num_clients
        return Closed(name=stage.name, prompts=short, concurrency=stage.num_clients, requests=count)


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
    _folder: Path = PrivateAttr(default=Path())

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

    @model_validator(mode="after")
    def _prompts_suit_the_api_and_the_cache(self) -> Self:
        for stage in self.load:
            if misfit := stage.prompts.misfit(self.workload.api, self.cache_of(stage.prompts)):
                raise ValueError(f"load: stage {stage.name!r}: {misfit}")
        if self.workload.api == "embeddings" and (no := [t.name for t in self.targets if t.kind in TEXT_ONLY_KINDS]):
            raise ValueError(f"targets: {', '.join(no)}: kinds {', '.join(TEXT_ONLY_KINDS)} are not asked to embed")
        return self

    def cache_of(self, prompts: Prompts) -> Cache:
        return prompts.cache or self.workload.cache

    @property
    def folder(self) -> Path:
        """Where the file lies that the scenario was read from; its prompts lie beside it."""
        return self._folder

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True)

    def changed(self, **changes: object) -> Scenario:
        """A copy that has been checked as a whole."""
        try:
            changed = Scenario.model_validate(dict(self) | changes)
        except ValidationError as error:
            raise BenchError(f"scenario {self.name!r}: {error.errors()[0]['msg']}") from error
        changed._folder = self._folder
        return changed

    def with_rounds(self, rounds: int) -> Scenario:
        if rounds < 1:
            raise BenchError(f"rounds must be at least 1, not {rounds}")
        return self.changed(measure=self.measure.model_copy(update={"rounds": rounds}))


def read_scenario(path: Path) -> Scenario:
    """Raises BenchError naming the file and every key at fault."""
    return make_scenario(read_yaml(path), origin=str(path), folder=path.parent)


def make_scenario(content: object, *, origin: str, folder: Path = Path()) -> Scenario:
    """`folder` is where its files lie. Raises BenchError naming the origin and every key at fault."""
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        faults = (f"{_key(fault['loc']) or 'scenario'}: {fault['msg']}" for fault in error.errors())
        raise BenchError("\n".join(f"{origin}: {fault}" for fault in faults)) from error
    scenario._folder = folder
    return scenario.changed(load=[_with_digest(entry, origin, folder) for entry in scenario.load])


def _key(place: tuple[int | str, ...]) -> str:
    """As the file's author knows it: without the kind by which pydantic chose what an entry of `load` must be."""
    hidden = 2 if place[:1] == ("load",) else None
    return ".".join(str(part) for number, part in enumerate(place) if number != hidden)


def _with_digest(entry: AnyLoad, origin: str, folder: Path) -> AnyLoad:
    """Two runs on different prompts must not have the same hash."""
    if entry.prompts.file is None:
        return entry
    file = folder / entry.prompts.file
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise BenchError(f"{origin}: stage {entry.name!r}: {file} cannot be read: {error.strerror}") from error
    if entry.prompts.sha256 not in (None, digest):
        raise BenchError(f"{origin}: stage {entry.name!r}: {file} is another file: its SHA-256 is {digest}")
    return entry.model_copy(update={"prompts": entry.prompts.model_copy(update={"sha256": digest})})
