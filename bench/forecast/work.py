"""What a scenario asks, counted before it is asked.

Arrivals come from the scenario's seed, so that the requests and the seconds of an open loop are those that the run will
have. A search is counted as if it needed all of its probes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.load.arrivals import round_arrivals
from bench.prompt_spec import Mixed, Prompts
from bench.scenario import Scenario
from bench.series import AnyLoad, Search, stages_of
from bench.stages import AnyStage, Closed
from bench.token_fit import USUAL
from bench.workload import messages, read_conversations


@dataclass(frozen=True)
class Batch:
    """Requests of one kind, `clients` of them at once. Tokens are those of one request, without the chat template;
    `fresh` are the ones of the prompt that no cache knows, in the mean."""

    requests: int
    clients: int
    tokens_in: float
    fresh: float
    tokens_out: int


@dataclass(frozen=True)
class Work:
    """One stage of one round, as every target is asked for it. `arriving_s` is how long an open loop's requests arrive,
    `limit_s` when a closed loop sends no more. `at_most`: a search may be content with less."""

    stage: str
    words: str
    warm_up: Batch | None
    asked: Batch
    arriving_s: float | None = None
    limit_s: float | None = None
    at_most: bool = False

    @property
    def batches(self) -> list[Batch]:
        return [self.warm_up, self.asked] if self.warm_up else [self.asked]

    @property
    def requests(self) -> int:
        return sum(batch.requests for batch in self.batches)

    @property
    def tokens_in(self) -> int:
        return round(sum(batch.requests * batch.tokens_in for batch in self.batches))

    @property
    def tokens_out(self) -> int:
        return sum(batch.requests * batch.tokens_out for batch in self.batches)


def works(scenario: Scenario, number: int) -> list[Work]:
    """Of round `number`, in the order of the run. Raises BenchError for prompts that cannot be read."""
    return [work for entry in scenario.load for work in _of_entry(scenario, entry, number)]


def _of_entry(scenario: Scenario, entry: AnyLoad, number: int) -> Iterator[Work]:
    if isinstance(entry, Search):
        yield _search(scenario, entry, number)
    for stage in stages_of([entry]):
        warm_up, words = scenario.measure.warm_up_of(stage), f"{stage.whole_words}, {stage.prompts.words}"
        first = _batch(scenario, warm_up, warm_up.requests) if warm_up else None
        if isinstance(stage, Closed):
            asked = _batch(scenario, stage, stage.requests)
            yield Work(stage.name, words, first, asked, limit_s=stage.duration)
        else:
            due = round_arrivals(stage, scenario.workload.sampling.seed, number)
            lasts = due[-1] if stage.most_requests else sum(hold.seconds for hold in stage.profile())
            yield Work(stage.name, words, first, _batch(scenario, stage, len(due)), arriving_s=lasts)


def _search(scenario: Scenario, entry: Search, number: int) -> Work:
    """All probes with as many requests as the highest rate brings. Where a number of requests ends a probe, the rates
    lo, 2 lo, 4 lo, ... take less than twice as long together as lo alone, and none of the halvings longer than lo."""
    probes, halvings = entry.rate.max_probes, entry.rate.max_halvings
    fullest, slowest = entry.probe(entry.rate.hi), entry.probe(entry.rate.lo)
    seed = scenario.workload.sampling.seed
    most = probes * len(round_arrivals(fullest, seed, number))
    if entry.duration is None:
        arriving_s = (2 + halvings) * round_arrivals(slowest, seed, number)[-1]
    else:
        arriving_s = probes * entry.duration
    warm_up = scenario.measure.warm_up_of(fullest)
    first = _batch(scenario, warm_up, probes * warm_up.requests) if warm_up else None
    words = f"{entry.whole_words} in at most {probes} probes, {entry.prompts.words}"
    return Work(entry.name, words, first, _batch(scenario, fullest, most), arriving_s, at_most=True)


def _batch(scenario: Scenario, stage: AnyStage, requests: int) -> Batch:
    tokens = _tokens_in(scenario, stage.prompts)
    warm = _warm_share(scenario, stage.prompts)
    fresh = (1 - warm) * tokens + (tokens / requests if warm else 0.0)  # the document is read once
    return Batch(requests, stage.num_clients, tokens, fresh, stage.prompts.osl)


def _tokens_in(scenario: Scenario, prompts: Prompts) -> float:
    """Conversations of a file are counted by their words, in the mean."""
    if prompts.file is None:
        return prompts.isl * prompts.batch
    found = read_conversations(scenario.folder / prompts.file)
    num_words = sum(len(message["content"].split()) for talk in found for message in messages(talk))
    return num_words * USUAL.per_word / len(found)


def _warm_share(scenario: Scenario, prompts: Prompts) -> float:
    """A file's conversations may be known to a cache or not: they are counted as not."""
    if prompts.kind != "shared-document":
        return 0.0
    cache = scenario.cache_of(prompts)
    return cache.warm if isinstance(cache, Mixed) else 1.0
