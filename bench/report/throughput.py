"""Tokens per second: of everybody together, of one of them, and one against the other."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.blocks import Definitions, Section, Term
from bench.report.by_load import Measured, by_clients, by_load, clients, differ_in_clients_only, doubted
from bench.report.figures import LinePlot, Series
from bench.result import Result, StageResult

TERMS = (
    Term(
        "interval of the rounds",
        "from the lowest to the highest round; each round is one repetition of the stage, and the point their median.",
    ),
)


def sections(result: Result) -> Iterator[Section]:
    if result.stages and not result.embeds:
        figures = [_everybody(result), _each(result)]
        if differ_in_clients_only(result):
            figures.append(_trade(result))
        yield Section("Throughput", (*figures, Definitions(TERMS)))


def _everybody(result: Result) -> LinePlot:
    return by_load(
        result,
        lambda stage: _over_rounds(stage, "out_tok_s"),
        title="All clients together",
        caption="out tok/s: median and interval of the rounds. Grey: invalid.",
        y_label="out tok/s",
    )


def _each(result: Result) -> LinePlot:
    return by_load(
        result,
        lambda stage: _over_rounds(stage, "decode_tok_s"),
        title="What one client sees",
        caption="decode tok/s of one request: median and interval of the rounds. Grey: invalid.",
        y_label="decode tok/s",
    )


def _trade(result: Result) -> LinePlot:
    """Up and to the right is better; how many clients there were is written beside each point."""
    series = []
    for target in dict.fromkeys(stage.target for stage in result.stages):
        known = [s for s in by_clients(result, target) if s.rates.decode_tok_s is not None]
        x = tuple(stage.rates.decode_tok_s or 0.0 for stage in known)
        y = tuple(stage.rates.out_tok_s for stage in known)
        labels = tuple(str(clients(stage)) for stage in known)
        series.append(Series(target, x, y, labels=labels, doubted_points=doubted(known)))
    return LinePlot(
        "Throughput against speed for one",
        "Each point is a stage, with its number of clients: out tok/s over decode tok/s. Up and right is better.",
        "decode tok/s of one client",
        "out tok/s",
        tuple(series),
    )


def _over_rounds(stage: StageResult, name: str) -> Measured:
    found = [value for round_ in stage.rounds if (value := getattr(round_, name)) is not None]
    return Measured(getattr(stage.rates, name), min(found, default=None), max(found, default=None))
