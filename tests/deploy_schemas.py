"""The documented fields of deploy files, as far as ours use them; a field that is not here is a mistake.

RunPod: docs.runpod.io/hub/publishing-guide. Knative: knative.dev/docs/serving/reference/serving-api, with Cloud Run's
limits: a startup probe may take 240 seconds, a request 3600.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]
Value = str | int | float | bool
CudaVersion = Annotated[str, Field(pattern=r"^\d+\.\d$")]
GPU_POOLS = {
    *("AMPERE_16", "AMPERE_24", "ADA_24", "AMPERE_48", "ADA_48_PRO", "AMPERE_80", "ADA_80_PRO", "HOPPER_141"),
}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Option(Strict):
    label: str
    value: Value


class Input(Strict):
    name: Text
    type: Literal["string", "number", "boolean", "huggingface"]
    description: str = ""
    default: Value | None = None
    options: list[Option] = []
    required: bool = False
    advanced: bool = False

    @model_validator(mode="after")
    def _default_is_of_its_type(self) -> Self:
        kinds: dict[str, tuple[type, ...]] = {
            "string": (str,),
            "huggingface": (str,),
            "number": (int, float),
            "boolean": (bool,),
        }
        if self.default is not None and not isinstance(self.default, kinds[self.type]):
            raise ValueError(f"{self.name}: default {self.default!r} is no {self.type}")
        return self


class HubVariable(Strict):
    key: Text
    value: str | None = None
    input: Input | None = None

    @model_validator(mode="after")
    def _value_or_input(self) -> Self:
        if (self.value is None) == (self.input is None):
            raise ValueError(f"{self.key}: give a value or an input")
        return self


class Preset(Strict):
    name: Text
    defaults: dict[str, Value]


class HubConfig(Strict):
    runsOn: Literal["GPU", "CPU"]
    endpointType: Literal["LB"] | None = None
    containerDiskInGb: Annotated[int, Field(ge=1)]
    gpuCount: Annotated[int, Field(ge=1)] | None = None
    gpuIds: str | None = None
    cpuFlavor: str | None = None
    allowedCudaVersions: list[CudaVersion] = []
    presets: list[Preset] = []
    env: list[HubVariable] = []

    @model_validator(mode="after")
    def _pools_are_known(self) -> Self:
        pools = {name for name in (self.gpuIds or "").split(",") if name and not name.startswith("-")}
        if pools - GPU_POOLS:
            raise ValueError(f"gpuIds: {pools - GPU_POOLS} are no pools")
        return self


class Hub(Strict):
    title: Text
    description: Text
    type: Literal["serverless"]
    category: Literal["audio", "embedding", "language", "video", "image"]
    iconUrl: str | None = None
    config: HubConfig


class HubTest(Strict):
    name: Text
    input: dict[str, object]
    timeout: Annotated[int, Field(ge=1000, description="milliseconds")]


class HubTestVariable(Strict):
    key: Text
    value: str


class HubTestConfig(Strict):
    gpuTypeId: str | None = None
    gpuCount: Annotated[int, Field(ge=1)] | None = None
    cpuFlavor: str | None = None
    env: list[HubTestVariable] = []
    allowedCudaVersions: list[CudaVersion] = []


class HubTests(Strict):
    tests: Annotated[list[HubTest], Field(min_length=1)]
    config: HubTestConfig


class Metadata(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")] | None = None
    annotations: dict[str, str] = {}


class Port(Strict):
    name: Literal["http1", "h2c"] | None = None
    containerPort: Annotated[int, Field(ge=1, lt=65536)]


class Variable(Strict):
    name: Text
    value: str


class HttpGet(Strict):
    path: Annotated[str, Field(pattern="^/")]
    port: int


class Probe(Strict):
    httpGet: HttpGet
    periodSeconds: Annotated[int, Field(ge=1, le=240)]
    timeoutSeconds: Annotated[int, Field(ge=1)]
    failureThreshold: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _one_at_a_time(self) -> Self:
        if self.timeoutSeconds > self.periodSeconds:
            raise ValueError("timeoutSeconds may not be longer than periodSeconds")
        return self


class Amounts(Strict):
    cpu: Literal["1", "2", "4", "8"]
    memory: Annotated[str, Field(pattern=r"^\d+(Mi|Gi)$")]


class Resources(Strict):
    limits: Amounts


class Container(Strict):
    name: Text
    image: Text
    ports: Annotated[list[Port], Field(min_length=1, max_length=1)]
    env: list[Variable]
    resources: Resources
    startupProbe: Probe
    livenessProbe: Probe


class RevisionSpec(Strict):
    containerConcurrency: Annotated[int, Field(ge=0, le=1000)]
    timeoutSeconds: Annotated[int, Field(ge=1, le=3600)]
    containers: Annotated[list[Container], Field(min_length=1)]


class Revision(Strict):
    metadata: Metadata
    spec: RevisionSpec


class ServiceSpec(Strict):
    template: Revision


class KnativeService(Strict):
    apiVersion: Literal["serving.knative.dev/v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec
