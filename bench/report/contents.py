"""The table of contents: what a report says of a result, in order. A part that was not measured says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.record import RequestRecord
from bench.report import (
    calibration,
    cold,
    context,
    cost,
    embeddings,
    facts,
    latency,
    limits,
    load,
    micro,
    plan,
    quants,
    quants_verdict,
    requests,
    roofline,
    stages,
    throughput,
    verdict,
)
from bench.report.blocks import Block, Finding, Report, Section, Text, Verdict
from bench.report.glossary import gathered
from bench.result import Result

FINDINGS: tuple[Callable[[Result], Iterator[Finding]], ...] = (
    verdict.findings,
    context.findings,
    cold.findings,
    limits.findings,
    quants_verdict.findings,
    cost.findings,
)
PARTS: tuple[Callable[[Result], Iterator[Section]], ...] = (
    throughput.sections,
    latency.sections,
    load.sections,
    stages.sections,
    embeddings.sections,
    context.sections,
    cold.sections,
    roofline.sections,
    plan.sections,
    quants.sections,
    micro.sections,
    limits.sections,
    cost.sections,
    calibration.sections,
)


def report_of(result: Result, records: Sequence[RequestRecord] = ()) -> Report:
    """`records` are the lines of the result's `requests.jsonl`; without them no figure shows single requests."""
    sections = [section for part in PARTS for section in part(result)]
    found, glossary = gathered([*sections, *requests.sections(result, records)])
    ending = ([glossary] if glossary else []) + list(facts.sections(result))
    return Report(_title(result), tuple(_opening(result)), (*found, *ending))


def _title(result: Result) -> str:
    return f"{result.name}: {result.model_name}" if result.model_name else result.name


def _opening(result: Result) -> Iterator[Block]:
    """When and on what, the verdict, and the reasons to doubt all of it."""
    yield Text(f"{result.created.wall}, {facts.setting(result)}")
    if findings := tuple(finding for part in FINDINGS for finding in part(result)):
        yield Verdict(findings)
    yield from (Text(flag.text, flag.severity) for flag in result.validity)
