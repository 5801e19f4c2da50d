"""The stages of a run that embeds texts: a row for each target."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Definitions, Notes, Section, Table, Term, number
from bench.report.stages import comparisons, count, doubts
from bench.result import Result, StageResult
from bench.series import AnyLoad

HEADERS = ("target", "texts/s", "prompt tok/s", "e2e p50 ms", "e2e p95 ms", "n", "verdict")
TERMS = (
    Term("texts/s", "texts of all requests / wall time of the stage, the drain included; median of the rounds."),
    Term("prompt tok/s", "the same of the prompt tokens, as the server counts them."),
)


def sections(result: Result) -> Iterator[Section]:
    if result.scenario is None or not (result.embeds and result.stages):
        return
    for load in result.scenario.text.load:
        stages = [stage for stage in result.stages if stage.stage == load.name]
        if stages:
            doubted = frozenset(i for i, stage in enumerate(stages) if stage.verdict != "valid")
            table = Table(HEADERS, tuple(_row(stage) for stage in stages), doubted)
            yield Section(_title(load), (table, Notes((*comparisons(result, load.name), *doubts(stages)))))
    yield Section("Terms", (Definitions(TERMS),))


def _title(load: AnyLoad) -> str:
    texts = f"{load.prompts.batch} text{'s' if load.prompts.batch > 1 else ''}"
    return f"{load.name}: {load.whole_words}, {texts} of {load.prompts.length} in a request"


def _row(stage: StageResult) -> tuple[str, ...]:
    rates, e2e = stage.rates, stage.metrics.get("e2e_ms")
    numbers = map(number, (rates.texts_s, rates.prompt_tok_s, rates.e2e_p50_ms, e2e.p95 if e2e else None))
    return (stage.target, *numbers, count(stage), stage.verdict)
