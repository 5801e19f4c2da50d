"""What was seen of cold starts: each one a process of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from bench.sample import HostUse
from bench.stats import Distribution

PageCache = Literal["warm", "cold"]
Knowledge = Literal["known", "new"]
"""A prompt begins as a prefix of the model's YAML, of which there may be a pack; or with the same behind a new word."""


class ColdStart(BaseModel, frozen=True):
    """One process, from outside. Milliseconds since its command was started: `listening_ms` until a connection was
    taken, `ready_ms` until it called itself ready, `sent_ms` until the first request was sent, `first_ms` until that
    one's first token, or vector. `again_ms` is what a second request took from sending to the same.

    `cached` is the share of the weights that lay in the page cache before, None where the kernel does not tell.
    `ledger` are the phases that the server itself told with its first reply (`core.coldstart`), in milliseconds; None
    of a server that keeps no such ledger."""

    round: int
    cached: float | None
    listening_ms: float
    ready_ms: float
    sent_ms: float
    first_ms: float
    again_ms: float
    prompt_tokens: int | None
    cached_tokens: int | None
    ledger: dict[str, float] | None
    host: HostUse


class ColdSeries(BaseModel, frozen=True):
    """The starts of one kind, a round each. `prompt` says what was asked first. `metrics` are those fields of the
    starts that end in `_ms`."""

    model: str
    target: str
    page_cache: PageCache
    prompt: str
    prefix: Knowledge | None
    starts: list[ColdStart]
    metrics: dict[str, Distribution | None]


class ImportTime(BaseModel, frozen=True):
    """A package and the time in its own modules, without what those import from elsewhere."""

    package: str
    modules: int
    self_ms: float


class Imports(BaseModel, frozen=True):
    """What a server imports until its first answer, the slowest package first (`python -X importtime`)."""

    model: str
    target: str
    total_ms: float
    packages: list[ImportTime]


class ColdPart(BaseModel, frozen=True):
    """`rounds` is what was asked for; a run that was stopped has fewer starts of some series."""

    rounds: int
    series: list[ColdSeries]
    imports: list[Imports]
