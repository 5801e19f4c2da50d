"""Reports: one file that stands alone, drawings that say what the data says, tables where none can be drawn."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from bench.record import RequestRecord
from bench.report.blocks import Definitions, Finding, Notes, Report, Section, Table, Term, Text, Verdict
from bench.report.contents import report_of
from bench.report.figures import (
    BarPlot,
    Ecdf,
    Estimate,
    Figure,
    Forest,
    HeatMap,
    Lanes,
    Limit,
    LinePlot,
    Series,
    Span,
)
from bench.report.glossary import gathered
from bench.report.html import html
from bench.report.markdown import markdown
from bench.report.svg.draw import draw
from bench.report.svg.scale import Scale, fitted, linear_ticks, log_ticks
from bench.report.tabular import as_table
from bench.report.time_series import in_flight, token_rate
from bench.result import Result
from bench.session import Session
from bench.summary import ratios, summarise
from tests.test_bench_summary import SCENARIO, sample

MS = 1_000_000
SVG = "{http://www.w3.org/2000/svg}"
LINE = LinePlot("t", "c", "clients", "tok/s", (Series("a", (1, 2, 4), (10, 20, 30)),))
FIGURES: list[Figure] = [
    LINE,
    LinePlot("t", "c", "x", "y", (Series("<a>", (1, 2), (None, 2), (None, 1), (None, 3)),), (Limit("SLO", 5),)),
    LinePlot("t", "c", "x", "y", (Series("a", (0, 1), (0, 2), is_points=True, labels=("p", "q")),), log_y=True),
    LinePlot("t", "c", "stage", "y", (Series("a", (0, 1), (3, 4)), Series("b", (0,), (5,))), x_names=("one", "two")),
    Ecdf("t", "c", "ms", {"a": (1.0, 2.0, 2.0, 9.0), "none": ()}),
    BarPlot("t", "c", "MiB", ("f16", "q8"), {"weights": (90, 90), "KV": (180, None)}),
    HeatMap("t", "c", "depth", "length", ("0%", "50%"), ("1k",), ((1.0, None),), (("100", "-"),)),
    Lanes("t", "c", "s", (("1", (Span(0, 1, "prefill"), Span(1, 2, "decode"))), ("2", ()))),
    Forest("t", "c", "B / A", 1.0, (Estimate("x", 0.9, 0.8, 1.0, "same"), Estimate("y", 2, None, None, "unresolved"))),
]


class Page(HTMLParser):
    """Tags that open and close in order, and what they refer to."""

    VOID = ("meta", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.targets += [found["href"] or ""] if "href" in found else []
        assert "src" not in found
        assert tag not in ("script", "link", "img")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def result() -> Result:
    samples = [sample(target, number) for target in ("ours", "peer") for number in range(3)]
    stages = summarise(samples, SCENARIO)
    found = Session("run", "known").result(
        complete=True, stages=stages, ratios=ratios(stages, SCENARIO), targets=list(SCENARIO.targets)
    )
    return found.model_copy(update={"name": "<known> & loved"})


def records(number: int = 0) -> list[RequestRecord]:
    return [record for target in ("ours", "peer") for record in sample(target, number).records]


def drawn(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(draw(figure).svg)


def paths(figure: Figure, css: str) -> list[str]:
    return [e.get("d", "") for e in drawn(figure).iter(f"{SVG}path") if css in (e.get("class") or "").split()]


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    text = html(report_of(result(), records()))
    page = Page(text)
    assert page.open == []
    assert "url(" not in text
    assert "@import" not in text
    assert "&lt;known&gt; &amp; loved" in text
    assert "<known>" not in text


def test_every_link_leads_to_a_definition_and_every_metric_in_a_table_has_one() -> None:
    text = html(report_of(result(), records()))
    page = Page(text)
    assert page.targets
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert re.search(r'<th><a href="#term-ttft">TTFT</a> p50 ms</th>', text)


def test_what_is_doubted_is_greyed() -> None:
    table = Table(("a", "verdict"), (("x", "invalid"), ("y", "valid")), frozenset({0}))
    text = html(Report("t", (), (Section("s", (table,)),)))
    assert '<tr class="doubted"><td>x</td><td><span class="badge invalid">' in text
    assert "<tr><td>y</td>" in text
    plot = LinePlot("t", "c", "x", "y", (Series("a", (1, 2), (1, 2), doubted_points=frozenset({1})),))
    marks = [e.get("class") for e in drawn(plot).iter(f"{SVG}path") if "mark" in (e.get("class") or "")]
    assert marks == ["mark c0", "mark doubted"]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: type(figure).__name__)
def test_every_figure_is_drawn_within_its_frame_and_has_a_table(figure: Figure) -> None:
    root = drawn(figure)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for element in root.iter():
        for keys, limit in ((("x", "x1", "x2"), width), (("y", "y1", "y2"), height)):
            assert all(0 <= float(element.get(key, 0)) <= limit for key in keys), ElementTree.tostring(element)
    table = as_table(figure)
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.headers)}


def test_a_table_of_named_points_has_their_names_and_limits_at_every_x() -> None:
    points = Series("form", (0.1, 0.2), (3.0, 4.0), is_points=True, labels=("p", "q"))
    table = as_table(LinePlot("t", "c", "loss", "tok/s", (points,), (Limit("original", 2.0),)))
    assert table.rows == (("form: p", "0.1", "3.0"), ("form: q", "0.2", "4.0"), ("original", "all", "2.0"))


def test_what_was_not_measured_breaks_the_line() -> None:
    plot = LinePlot("t", "c", "x", "y", (Series("a", (1, 2, 3, 4), (1, None, 2, 3)),))
    assert [path.count("L") for path in paths(plot, "line")] == [0, 1]
    assert len(paths(plot, "mark")) == 3


def test_an_ecdf_rises_to_everything_by_steps_of_its_values() -> None:
    (path,) = paths(Ecdf("t", "c", "ms", {"a": (4.0, 1.0, 2.0)}), "line")
    assert path.count("V") == 3
    at = [float(y) for y in re.findall(r"V([\d.]+)", path)]
    assert at == sorted(at, reverse=True)
    many = Ecdf("t", "c", "ms", {"a": tuple(float(i + 1) for i in range(5000))})
    (thinned,) = paths(many, "line")
    assert thinned.count("V") == 200


def test_scales_keep_data_inside_and_ticks_round() -> None:
    assert linear_ticks(0, 244, 5) == [0, 50, 100, 150, 200]
    assert log_ticks(3, 2500) == [10, 100, 1000]
    assert log_ticks(3, 250) == [5, 10, 20, 50, 100, 200]
    scale = fitted([5.0, 5.0], 0, 100)
    assert 0 < scale(5.0) < 100
    assert fitted([], 0, 1, log=True).low > 0
    assert Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)


def test_markdown_draws_what_mermaid_can_and_lists_the_rest() -> None:
    report = Report("t", (), (Section("s", tuple(FIGURES)), Section("more", (Text("w"),), folded=True)))
    text = markdown(report)
    assert '  x-axis "clients" ["1", "2", "4"]\n  y-axis "tok/s" 0 --> 33\n  line [10, 20, 30]\n' in text
    assert text.count("```mermaid") == 1
    assert "| KV" not in text.splitlines()
    assert "|  | weights, MiB | KV, MiB |" in text
    assert "<details><summary>more</summary>\n\nw\n\n</details>" in text


def test_names_and_values_of_a_drawing_belong_together() -> None:
    line = Series("a", (2.0, 0.0, 1.0), (30.0, 10.0, 20.0))
    plot = LinePlot("t", "c", "stage", "tok/s", (line,), x_names=("first", "second", "third"))
    text = markdown(Report("t", (), (Section("s", (plot,)),)))
    assert '  x-axis "stage" ["first", "second", "third"]\n' in text
    assert "  line [10, 20, 30]\n" in text


def test_a_tail_that_its_samples_do_not_support_is_not_listed() -> None:
    (row,) = as_table(Ecdf("t", "c", "ms", {"a": tuple(map(float, range(1, 51)))})).rows
    assert row == ("a", "50", "5.9", "13.2", "25.5", "37.8", "45.1", "n/a", "n/a")


def test_definitions_are_gathered_once_and_explain_in_one_place() -> None:
    twice = [Section(name, (Notes((name,)), Definitions((Term("gap", "first"),)))) for name in "ab"]
    rest, glossary = gathered([*twice, Section("only terms", (Definitions((Term("e2e", "x"),)),))])
    assert [section.title for section in rest] == ["a", "b"]
    assert glossary is not None
    assert glossary.blocks == (Definitions((Term("gap", "first"), Term("e2e", "x"))),)


def test_the_verdict_comes_first_and_counts_what_may_be_believed() -> None:
    failed = [sample("ours", number, err="HTTP 500") for number in range(3)]
    stages = summarise([*failed, *(sample("peer", number) for number in range(3))], SCENARIO)
    report = report_of(Session("run", "known").result(complete=True, stages=stages))
    verdict = next(block for block in report.opening if isinstance(block, Verdict))
    assert verdict.findings == (Finding("Validity of the stages", "1 valid, 1 invalid (errors)", "bad"),)


def test_time_series_hold_every_token_and_every_second_of_a_request() -> None:
    found = records()[:1]
    for record in found:
        record.chars = [5] * 11
    (tokens,), (flying,) = token_rate({"a": found}).series, in_flight({"a": found}).series
    window = tokens.x[1] - tokens.x[0]
    assert sum(y or 0 for y in tokens.y) * window == pytest.approx(11)
    assert flying.y == pytest.approx([1.0] * len(flying.y))


def test_lanes_split_waiting_where_the_server_tells_its_queue() -> None:
    known, unknown = sample("ours").records[0], sample("peer").records[0]
    known.server_timings = {"queue_ms": 40}
    known.t_send = 10 * MS
    report = report_of(result(), [known, unknown])
    lanes = {b.title: b for s in report.sections for b in s.blocks if isinstance(b, Lanes)}
    ((_, ours),) = lanes["Requests to ours"].lanes
    assert ours == (
        Span(0, 0.01, "not sent yet"), Span(0.01, 0.05, "queue"), Span(0.05, 0.1, "prefill"), Span(0.1, 0.2, "decode")
    )  # fmt: skip
    ((_, peer),) = lanes["Requests to peer"].lanes
    assert peer == (Span(0, 0.1, "queue and prefill"), Span(0.1, 0.2, "decode"))
