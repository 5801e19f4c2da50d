"""`result.json` (`bench.result/1`): the summary of a run, and all that a report or a comparison may read.

Every number is in the unit its name ends in. What could not be measured is null, never zero.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from bench.calibrate.calibration import Calibration
from bench.cold.result import ColdPart
from bench.context.parts import ContextPart
from bench.cost.result import CostPart
from bench.deployment import Deployment
from bench.environment import Environment
from bench.errors import BenchError
from bench.files import read_bytes
from bench.limits.result import LimitsPart
from bench.load.findings import Attainment, Curve, GoodputFound
from bench.micro.result import Micro
from bench.plan.result import Plan
from bench.quants.result import QuantsPart
from bench.roofline.result import Roofline
from bench.sample import HostUse
from bench.scenario import Scenario
from bench.stages import AnyStage
from bench.stats import Distribution
from bench.target_spec import TargetSpec

Verdict = Literal["valid", "suspect", "invalid"]

FILE_NAME = "result.json"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Flag(Frozen):
    """A reason to doubt: `invalid` numbers mean something else than they say, `suspect` ones may be off."""

    code: str
    severity: Literal["suspect", "invalid"]
    text: str


class Clock(Frozen):
    """One moment on both clocks: `wall` is ISO 8601 UTC, `perf_ns` what the request times count in."""

    wall: str
    perf_ns: int | None


class Load(Frozen):
    """Of the host, as the kernel averages it."""

    loadavg_before: tuple[float, float, float]
    loadavg_after: tuple[float, float, float]


class ScenarioText(Frozen):
    hash: str
    text: Scenario


class ModelFile(Frozen):
    file: str
    sha256: str
    size_bytes: int


class RoundResult(Frozen):
    """One stage of one round on one target. `wall_s` is from the first request due to the last one ended.

    Rates are over the window (`bench.load.window`), which leaves start and drain out where it is `steady`: `out_tok_s`
    are all tokens that came in it, `requested_req_s` the requests due in it (open loops), `achieved_req_s` those that
    ended well, `good_req_s` those that also met the SLO. `decode_tok_s` is the median over requests of (tokens - 1) /
    (last token - first token), `prompt_tok_s` and `texts_s` (embedded texts) count over `wall_s`."""

    round: int
    wall_s: float | None
    window_s: float | None = None
    steady: bool = False
    out_tok_s: float | None
    decode_tok_s: float | None
    prefill_tok_s: float | None
    ttft_p50_ms: float | None
    requested_req_s: float | None = None
    achieved_req_s: float | None = None
    good_req_s: float | None = None
    most_in_flight: int | None = None
    saturated: str | None = None
    prompt_tok_s: float | None = None
    texts_s: float | None = None
    e2e_p50_ms: float | None = None
    host: HostUse | None


class Rates(Frozen):
    """Medians over the rounds."""

    out_tok_s: float | None
    decode_tok_s: float | None
    prefill_tok_s: float | None
    ttft_p50_ms: float | None
    requested_req_s: float | None = None
    achieved_req_s: float | None = None
    good_req_s: float | None = None
    prompt_tok_s: float | None = None
    texts_s: float | None = None
    e2e_p50_ms: float | None = None


class Sums(Frozen):
    prompt: int | None
    cached: int | None
    completion: int | None


class StageResult(Frozen):
    """One stage on one target over all rounds. `metrics` are pooled over the requests that ended well. `n_refused` were
    shed by the server (HTTP 429 or 503), `n_err` failed. `saturated` is why the server did not keep up in at least half
    of the rounds. `spread` is by how much the rounds differ, for each rate: (largest - smallest) / median, the least
    difference between two targets that means anything. Without `load` it was measured by another tool, whose words for
    it are the stage's name."""

    stage: str
    target: str
    load: AnyStage | None
    n_sent: int | None
    n_ok: int | None
    n_err: int | None
    n_censored: int | None
    n_refused: int | None = None
    sum: Sums
    rates: Rates
    metrics: dict[str, Distribution | None]
    goodput: Attainment | None = None
    saturated: str | None = None
    rounds: list[RoundResult]
    spread: dict[str, float | None] = {}
    validity: list[Flag]

    @property
    def unsteady(self) -> int:
        """Rounds without a steady window: their rates count start and drain too."""
        return sum(done.window_s is not None and not done.steady for done in self.rounds)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Verdict:
        """The worst of its flags."""
        severities = {flag.severity for flag in self.validity}
        return "invalid" if "invalid" in severities else "suspect" if severities else "valid"


class Ratio(Frozen):
    """The subject's median over the baseline's; above 1 the subject is higher."""

    stage: str
    metric: str
    subject: str
    baseline: str
    ratio: float | None


class Result(Frozen):
    """One envelope for every measuring command; what a command did not measure keeps its default."""

    schema_: Literal["bench.result/1"] = Field(default="bench.result/1", alias="schema")
    id: str
    command: str = Field(description="the bench's subcommand that measured it")
    name: str
    model_name: str | None
    created: Clock
    complete: bool
    environment: Environment
    host_load: Load | None
    model: ModelFile | None
    server_config: Deployment | None
    scenario: ScenarioText | None = None
    targets: list[TargetSpec] = []
    calibration: Calibration | None = Field(default=None, description="of the client, just before it measured")
    stages: list[StageResult] = []
    ratios: list[Ratio] = []
    curves: list[Curve] = []
    searches: list[GoodputFound] = []
    roofline: Roofline | None = None
    plan: Plan | None = None
    context: ContextPart | None = None
    cold: ColdPart | None = None
    micro: Micro | None = None
    limits: LimitsPart | None = None
    cost: CostPart | None = None
    quants: QuantsPart | None = None
    validity: list[Flag]

    @property
    def embeds(self) -> bool:
        """What was measured are embeddings: there are texts in a second, and no tokens out."""
        return self.scenario is not None and self.scenario.text.workload.api == "embeddings"

    def write(self, folder: Path) -> Path:
        path = folder / FILE_NAME
        path.write_text(self.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
        return path


def read_result(folder: Path) -> Result:
    """Raises BenchError naming the file if it is not there or not a `bench.result/1`."""
    path = folder / FILE_NAME
    try:
        return Result.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BenchError(f"{path}: not a bench.result/1 file: {place}: {first['msg']}") from error
