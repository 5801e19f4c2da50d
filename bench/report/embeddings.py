"""The stages of a run that embeds texts: a row for each target."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Notes, Section, Table, number
from bench.report.stages import comparisons, doubts
from bench.result import Result, StageResult
from bench.scenario import Stage

HEADERS = ("target", "texts/s", "tok/s", "e2e p50 ms", "n", "verdict")
GLOSSARY = (
    "**texts/s**: texts embedded by all requests / wall time of the stage, the drain included; median of the rounds.",
    "**tok/s**: the same of the prompt tokens, as the server counts them.",
    "**e2e**: from the moment a request is due to the end of its reply; median of the requests, then of the rounds.",
)


def sections(result: Result) -> Iterator[Section]:
    if result.scenario is None or result.scenario.text.workload.api != "embeddings" or not result.stages:
        return
    for load in result.scenario.text.load:
        stages = [stage for stage in result.stages if stage.stage == load.name]
        if stages:
            doubted = frozenset(i for i, stage in enumerate(stages) if stage.verdict != "valid")
            table = Table(HEADERS, tuple(_row(stage) for stage in stages), doubted)
            yield Section(_title(load), (table, Notes((*comparisons(result, load.name), *doubts(stages)))))
    yield Section("How to read this", (Notes(GLOSSARY),))


def _title(load: Stage) -> str:
    clients = f"{load.concurrency} client{'s' if load.concurrency > 1 else ''}"
    texts = f"{load.prompts.batch} text{'s' if load.prompts.batch > 1 else ''}"
    return f"{load.name}: {clients}, {texts} of about {load.prompts.isl} tokens in a request"


def _row(stage: StageResult) -> tuple[str, ...]:
    rates = stage.rates
    numbers = map(number, (rates.texts_s, rates.prompt_tok_s, rates.e2e_p50_ms))
    return (stage.target, *numbers, f"{stage.n_ok}/{stage.n_sent}", stage.verdict)
