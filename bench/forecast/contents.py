"""What is said of a forecast: in one line before a run, and as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.forecast.make import Forecast, Line
from bench.report.blocks import Finding, Notes, Report, Section, Table, Text, Verdict

HEADERS = ("stage and target", "requests", "tokens in", "tokens out", "arrivals", "computing")
NOT_COUNTED = (
    "Not counted: starting the servers and loading the model, three seconds to calibrate the client, three short probes"
    " of each target's token counts, the chat template's tokens."
)


def summary(forecast: Forecast) -> str:
    """One line."""
    tokens = f"{forecast.tokens_in:,} tokens in, {forecast.tokens_out:,} out"
    time = f"{_time(forecast)} ({'; '.join(_bases(forecast))})"
    return f"{_most(forecast)}{forecast.requests:,} requests, {tokens}; {time}{_money(forecast)}"


def report_of(forecast: Forecast) -> Report:
    findings = [
        Finding("Requests", f"{_most(forecast)}{forecast.requests:,}, warm-ups included"),
        Finding("Tokens", f"{_most(forecast)}{forecast.tokens_in:,} in, {forecast.tokens_out:,} out"),
        Finding("Time", f"{_time(forecast)} for {_rounds(forecast)}"),
        *_costs(forecast),
    ]
    scenario = forecast.scenario
    return Report(f"Before {scenario.name}", (Verdict(tuple(findings)),), tuple(_sections(forecast)))


def _sections(forecast: Forecast) -> Iterator[Section]:
    paid = bool(forecast.prices)
    headers = (*HEADERS, "$ in all") if paid else HEADERS
    table = Table(headers, tuple(_row(line, paid=paid) for line in forecast.lines))
    title = f"In each of {_rounds(forecast)}" if forecast.scenario.measure.rounds > 1 else "In its one round"
    yield Section(title, (*_caveats(forecast), table, Notes(tuple(_loads(forecast)))))
    yield Section("What this rests on", (Notes((*_rests_on(forecast), NOT_COUNTED)),))


def _caveats(forecast: Forecast) -> Iterator[Text]:
    for name, price in forecast.prices.items():
        yield Text(f"{name}: {price.words}", None if price.verified else "suspect")
    for name in forecast.unpriced:
        yield Text(f"{name} costs money, and no price is known: say it with --price {name}=SKU or IN:OUT", "suspect")


def _row(line: Line, *, paid: bool) -> tuple[str, ...]:
    """Of one round: rounds of Poisson arrivals differ."""
    works = line.works
    most = "<= " if works[0].at_most else ""
    arriving = [work.arriving_s for work in works if work.arriving_s is not None]
    row = (
        f"{works[0].stage} {line.target}",
        most + _span([work.requests for work in works]),
        most + _span([work.tokens_in for work in works]),
        most + _span([work.tokens_out for work in works]),
        most + duration(max(arriving)) if arriving else "",
        f"~{duration(line.computing_s / len(works))}" if line.computing_s else "",
    )
    return (*row, "" if line.usd is None else f"{line.usd:,.4f}") if paid else row


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _loads(forecast: Forecast) -> Iterator[str]:
    found = {work.stage: work for line in forecast.lines for work in line.works}
    for work in found.values():
        warm_up = f", after {work.warm_up.requests} to warm up" if work.warm_up else ""
        yield f"{work.stage}: {work.asked.requests} requests, {work.words}{warm_up}"


def _rests_on(forecast: Forecast) -> Iterator[str]:
    yield from _bases(forecast)
    drain = max(entry.drain for entry in forecast.scenario.load)
    yield (
        "requests and the time of arrivals are exact, that of computing is an estimate: clients and warm-ups; the last"
        f" answers to arrivals are waited for at most {duration(drain)} more"
    )
    if forecast.prices:
        yield "a worker's price is charged for all of the time of its stages, and after each until its idle timeout"


def _bases(forecast: Forecast) -> list[str]:
    """Targets with the same rates share a line."""
    by_basis: dict[str, list[str]] = {}
    for name, rates in forecast.rates.items():
        by_basis.setdefault(rates.basis, []).append(name)
    return [f"{', '.join(names)}: {basis}" for basis, names in by_basis.items()]


def _costs(forecast: Forecast) -> Iterator[Finding]:
    for name, price in forecast.prices.items():
        total = sum(line.usd or 0.0 for line in forecast.lines if line.target == name)
        state = None if price.verified else "doubtful"
        yield Finding(f"Money for {name}", f"{_most(forecast)}${total:,.4f} ({price.words})", state)
    for name in forecast.unpriced:
        yield Finding(f"Money for {name}", f"not known: say --price {name}=SKU or --price {name}=IN:OUT", "doubtful")


def _money(forecast: Forecast) -> str:
    return "".join(f"; {finding.label.lower()}: {finding.words}" for finding in _costs(forecast))


def _most(forecast: Forecast) -> str:
    return "at most " if forecast.at_most else ""


def _time(forecast: Forecast) -> str:
    """Exact only where nothing has to be computed besides what arrives."""
    estimated = any(line.computing_s for line in forecast.lines)
    words = f"{'about ' if estimated else ''}{duration(forecast.seconds)}"
    return words + (" at most" if forecast.at_most else "")


def _rounds(forecast: Forecast) -> str:
    count = forecast.scenario.measure.rounds
    return f"{count} rounds" if count > 1 else "1 round"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
