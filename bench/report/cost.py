"""What a million tokens costs, by how many requests come."""

from __future__ import annotations

from collections.abc import Iterator

from bench.cost.result import Advice, CostPart, Curve
from bench.cost.worker import FULL
from bench.report.blocks import Block, Definitions, Finding, Notes, Section, Table, Term, Text, number
from bench.report.figures import Limit, LinePlot, Series
from bench.result import Result

HEADERS = ("requests per hour", "$ per 1M out, all in", "$ per 1M in", "$ per 1M out", "requests that start it")
TERMS = (
    Term(
        "$ per 1M out, all in",
        "seconds billed for a request x price / tokens out x 1e6. With rate l, idle timeout T, cold start C and busy"
        " seconds S of one worker, p = e^(-l T): billed = (S + p C + (1 - l S)(1 - p) / l) / (1 + l p C); the idle term"
        " only where the platform bills it. Rounding up to whole seconds, storage and traffic are not counted.",
    ),
    Term("$ per 1M in", "the part of it in the share of time that prompts take / tokens in; $ per 1M out the rest."),
    Term("requests that start it", "p (1 - l S) / (1 + l p C): they find the worker stopped."),
)
BILLED = (
    "A shorter timeout is never dearer: requests that come while the worker starts share that start. A longer one buys"
    " fewer cold starts."
)
UNBILLED = "Idle time is not billed, so a longer timeout only saves cold starts."


def findings(result: Result) -> Iterator[Finding]:
    cost = result.cost
    if cost is None:
        return
    points = _asked(cost).points
    words = f"${points[-1].usd_per_m_out:,.2f} for 1M tokens out when busy, ${points[0].usd_per_m_out:,.2f} at"
    words += f" {points[0].per_hour:.2g} requests per hour ({cost.price.caveat})"
    yield Finding(f"Cost on {cost.price.sku}", words, None if cost.price.verified else "doubtful")
    if cost.api_usd_per_m:
        yield Finding("Cheaper than the API", _from(cost.break_even_api_per_hour))
    if cost.price.active_usd_per_second:
        yield Finding("An always active worker is cheaper", _from(cost.break_even_active_per_hour))
    if cost.advice:
        yield Finding("Idle timeout", _advice(cost.advice))


def sections(result: Result) -> Iterator[Section]:
    if result.cost:
        yield Section("Cost of a million tokens", tuple(_blocks(result.cost)))


def _blocks(cost: CostPart) -> Iterator[Block]:
    price, use = cost.price, cost.use
    yield _figure(cost)
    yield Text(f"In US dollars; {price.caveat}.", None if price.verified else "suspect")
    yield _table(_asked(cost))
    yield Notes(
        (
            f"{price.sku}: {price.words}",
            f"a request: {use.tokens_in:.0f} tokens in, {use.tokens_out:.0f} out, {use.busy_s:.3g} s of the worker, of"
            f" which {100 * use.prefill_share:.0f} % for the prompt ({use.basis})",
            f"cold start {cost.cold_s:g} s; one worker, at most {100 * FULL:.0f} % busy: more traffic takes more",
            f"checked by playing out {cost.check.per_hour:.3g} requests per hour: {cost.check.simulated_s:.4g} s billed"
            f" for a request, {cost.check.expected_s:.4g} s by the formula",
            BILLED if price.bills_idle else UNBILLED,
        )
    )
    yield Definitions(TERMS)


def _figure(cost: CostPart) -> LinePlot:
    series = tuple(
        Series(
            f"idle timeout {curve.idle_timeout_s:g} s",
            tuple(point.per_hour for point in curve.points),
            tuple(point.usd_per_m_out for point in curve.points),
        )
        for curve in cost.curves
    )
    return LinePlot(
        "Cost by traffic",
        f"$ per 1M out, all in, by the formula: start, work and idle time of one worker; {cost.price.caveat}.",
        "requests per hour",
        "$ per 1M out, all in",
        series,
        _api(cost),
        log_x=True,
        log_y=True,
    )


def _api(cost: CostPart) -> tuple[Limit, ...]:
    """The API's price of a whole request, laid on the tokens that are written."""
    if cost.api_usd_per_m is None:
        return ()
    of_input, of_output = cost.api_usd_per_m
    return (Limit("API", of_output + of_input * cost.use.tokens_in / cost.use.tokens_out),)


def _table(curve: Curve) -> Table:
    """Every fourth point: two to a decade are enough to read."""
    rows = [
        (
            f"{point.per_hour:.3g}",
            number(point.usd_per_m_out, 2),
            number(point.usd_per_m_in, 2),
            number(point.usd_per_m_written, 2),
            f"{100 * point.cold:.1f} %",
        )
        for point in curve.points[::-4][::-1]
    ]
    return Table(HEADERS, tuple(rows))


def _asked(cost: CostPart) -> Curve:
    return next(curve for curve in cost.curves if curve.idle_timeout_s == cost.idle_timeout_s)


def _from(per_hour: float | None) -> str:
    if per_hour is None:
        return "never, with one worker"
    return f"from {per_hour:.3g} requests per hour on" if per_hour else "from the first request on"


def _advice(advice: Advice) -> str:
    more = advice.usd_per_request / advice.usd_per_request_at_once - 1
    return (
        f"{advice.idle_timeout_s:.0f} s at {advice.per_hour:g} requests per hour: {100 * advice.cold:.1f} % of requests"
        f" start a worker instead of {100 * advice.cold_at_once:.1f} %, for {100 * more:.0f} % more"
    )
