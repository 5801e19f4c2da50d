"""The table of contents: what a report says of a result, in order. A part that was not measured says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.report import calibration, embeddings, facts, stages
from bench.report.blocks import Section, Text
from bench.result import Result

PARTS: tuple[Callable[[Result], Iterator[Section]], ...] = (
    stages.sections,
    embeddings.sections,
    calibration.sections,
    facts.sections,
)


def title(result: Result) -> str:
    return f"{result.name}: {result.model_name}" if result.model_name else result.name


def opening(result: Result) -> list[Text]:
    """When and on what, and the reasons to doubt all of it."""
    doubts = [Text(flag.text, flag.severity) for flag in result.validity]
    return [Text(f"{result.created.wall}, {facts.setting(result)}"), *doubts]


def sections(result: Result) -> Iterator[Section]:
    for part in PARTS:
        yield from part(result)
