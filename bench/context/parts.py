"""The `context` part of a `bench.result/1`: what limits a context, and what was seen of each limit.

Lengths are tokens of the whole prompt as the server counts them. What was not measured is null, with the reason.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bench.slo import Slo

LimitName = Literal["advertised", "configured", "memory", "latency", "effective"]
Verdict = Literal["holds", "fails", "unresolved"]
PromptFate = Literal["refused", "truncated", "accepted", "failed"]
AnswerFate = Literal["refused", "clamped", "ended", "unclamped", "failed"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Limit(Part):
    """`at_least` is set where nothing longer was found to be too long. Where only some lengths were tried, `fails_at`
    is the first that was. `why` says how it was found, or why it is unknown."""

    tokens: int | None
    at_least: bool = False
    fails_at: int | None = None
    why: str


class Ladder(Part):
    """`usable` is the least of what is known; `binding` names the limit that is it, and is null where none was met."""

    limits: dict[LimitName, Limit]
    usable: int | None
    binding: LimitName | None
    verdict: str


class MemoryPoint(Part):
    """A context that was really loaded, in a process of its own. `measured_bytes` is null where it did not load."""

    context: int
    predicted_bytes: int
    measured_bytes: int | None
    error: str | None = None


class MemoryCurve(Part):
    """Predicted bytes at each of `contexts` with keys and values of one type, and the longest that fits."""

    cache_type: str
    bytes_per_token: int
    predicted_bytes: list[int]
    tokens: int


class MemoryPart(Part):
    """`predicted = fixed_bytes + kv cache + compute buffers`; `fixed_bytes` is what a process takes besides, measured
    at the smallest context. `tokens` is one request alone, `tokens_each_slot` for `slots` of them at once."""

    budget_bytes: int
    margin: float
    fixed_bytes: int
    slots: int
    unified: bool
    tokens: int
    tokens_each_slot: int
    contexts: list[int]
    curves: list[MemoryCurve]
    points: list[MemoryPoint]


class Timing(Part):
    """One prompt that no cache had seen, and the first tokens of its answer."""

    tokens: int
    cached: int | None
    ttft_ms: float
    itl_ms: float | None


class Fit(Part):
    """`coefficients[k]` belongs to tokens^k, in milliseconds."""

    coefficients: list[float]


class LatencyPart(Part):
    """`predicted` is where the fits meet the SLO, null without a fit or where they never do up to the longest prompt;
    `confirmations` were measured there and, where that kept it not, at shorter ones down to `confirmed`."""

    slo: Slo
    timings: list[Timing]
    ttft_fit: Fit | None
    itl_fit: Fit | None
    predicted: int | None
    confirmed: int | None
    confirmations: list[Timing]


class Cell(Part):
    """Questions on one place in texts of one length; `depth` 0 is the beginning, 100 the end."""

    task: str
    length: int
    depth: int
    n: int
    right: int


class Score(Part):
    """The tasks that count, all depths together."""

    length: int
    texts: int
    n: int
    right: int


class LengthScore(Score):
    """`kept_low` and `kept_high` are the interval of right / n divided by that of the short text."""

    kept_low: float
    kept_high: float
    verdict: Verdict


class TaskScore(Part):
    """In the short text. It counts where it was done better than by `chance`, taking any fact of its kind."""

    task: str
    n: int
    right: int
    chance: float
    counts: bool


class EffectivePart(Part):
    """`base` is the score in the short text. Each of `longer` was asked about up to `max_texts` texts, until it kept
    `threshold` of that or did not."""

    threshold: float
    max_texts: int
    tasks: list[TaskScore]
    base: Score
    longer: list[LengthScore]
    cells: list[Cell]


class OverlongPrompt(Part):
    """What became of a prompt longer than the context, whose first words held a canary. `canary_known_when_short` is
    the control: where it is false, `canary_known` says nothing."""

    behaviour: PromptFate
    sent_tokens: int
    status: int | None
    code: str | None
    counted_tokens: int | None
    canary_known: bool | None
    canary_known_when_short: bool
    notices: list[str]
    message: str | None


class OverlongAnswer(Part):
    """What became of a prompt that fits and a `max_tokens` that does not fit beside it."""

    behaviour: AnswerFate
    prompt_tokens: int
    max_tokens: int
    status: int | None
    code: str | None
    completion_tokens: int | None
    finish: str | None
    notices: list[str]
    message: str | None


class OverflowPart(Part):
    prompt: OverlongPrompt
    answer: OverlongAnswer


class ContextPart(Part):
    """`seed` is that of the texts and their facts. `reuses_prefixes` is whether a second question on one text was
    answered without reading the text again."""

    seed: int
    ladder: Ladder
    memory: MemoryPart | None
    latency: LatencyPart | None
    effective: EffectivePart | None
    overflow: OverflowPart | None
    lengths: list[int]
    reuses_prefixes: bool | None
    wall_s: float
