"""Neither a hostile template nor garbage gets past a TemplateError, and none runs long or fills memory."""

from __future__ import annotations

import contextlib
import random

import pytest

from core.prompt.budget import MAX_STEPS
from core.prompt.gotemplate import GoTemplate, TemplateError, TemplateRuntimeError, TemplateSyntaxError, render_template

DATA = {"Input": "Hello", "Functions": [{"name": "f", "parameters": {"a": [1, None]}}], "Metadata": None}
GROWING = "{{$x := `ab`}}{{$l := list 1}}{{range 60}}%s{{end}}"
DOUBLING_CALLS = '{{define "40"}}{{end}}{{template "0"}}' + "".join(
    f'{{{{define "{n}"}}}}{{{{template "{n + 1}"}}}}{{{{template "{n + 1}"}}}}{{{{end}}}}' for n in range(40)
)
STEPS_MESSAGE = f"more than {MAX_STEPS} loop steps and calls"


@pytest.mark.parametrize(
    "source",
    [
        GROWING % "{{$x = print $x $x}}",
        GROWING % "{{$x = printf `%s%s` $x $x}}",
        GROWING % "{{$x = replace `a` `aaa` $x}}",
        GROWING % "{{$x = list $x $x | join ``}}",
        GROWING % "{{$x = indent 9999 (print $x `\n` $x)}}",
        GROWING % "{{$x = regexReplaceAll `` $x $x}}",
        GROWING % "{{$x = quote $x $x}}",
        "{{indent 2000000000 `a`}}",
        "{{range 99999}}" + "x" * 10_000 + "{{end}}",
        "{{range 9999}}{{printf `%9999d` 1}}{{end}}",
    ],
)
def test_text_cannot_grow_out_of_proportion(source: str) -> None:
    with pytest.raises(TemplateRuntimeError, match="more text"):
        render_template(source, DATA)


@pytest.mark.parametrize(
    "source",
    [
        "{{range 999999999999}}{{end}}",
        "{{range 99999}}{{range 99999}}{{end}}{{end}}",
        "{{range 3}}" * 45 + "{{end}}" * 45,
        DOUBLING_CALLS,
        GROWING % "{{$l = list $l $l}}" + "{{$l}}",
        GROWING % "{{$l = list $l $l}}" + "{{toJson $l}}",
        GROWING % "{{$l = list $l $l}}" + "{{printf `%d` $l}}",
        GROWING % "{{$l = list $l $l}}" + "{{join `` $l}}",
    ],
)
def test_loops_calls_and_shared_values_are_counted(source: str) -> None:
    with pytest.raises(TemplateRuntimeError, match=STEPS_MESSAGE):
        render_template(source, DATA)


def test_a_template_that_calls_itself_ends() -> None:
    with pytest.raises(TemplateRuntimeError, match="call each other") as caught:
        render_template('{{define "a"}}\n{{template "a" .}}{{end}}{{template "a"}}', DATA)
    assert caught.value.line == 2


@pytest.mark.parametrize("use", ["{{$x}}", "{{toJson $x}}", "{{printf `%d` $x}}", "{{quote $x}}"])
def test_values_nested_too_deeply_end_in_an_error(use: str) -> None:
    with pytest.raises(TemplateRuntimeError, match="nested too deeply"):
        render_template("{{$x := list}}{{range 5000}}{{$x = list $x}}{{end}}" + use, DATA)


def test_data_nested_too_deeply_ends_in_an_error() -> None:
    nested: dict[str, object] = {}
    for _ in range(5000):
        nested = {"a": nested}
    with pytest.raises(TemplateRuntimeError, match="nested too deeply"):
        render_template("{{.X}}", {"X": nested})


@pytest.mark.parametrize(
    "source",
    [
        "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
        "{{if 1}}" * 5000 + "{{end}}" * 5000,
        "{{range 1}}" * 60,
        "{{block `a` 1}}" * 60,
    ],
)
def test_a_source_nested_too_deeply_is_refused(source: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="levels"):
        GoTemplate(source)


def test_a_long_chain_of_else_if_is_no_nesting() -> None:
    source = "{{if .Input | eq ``}}" + "".join(f"{{{{else if eq $.Input `{n}`}}}}{n}" for n in range(999)) + "{{end}}"
    assert render_template(source, {"Input": "998"}) == "998"


def test_the_budget_grows_with_the_data() -> None:
    assert len(render_template("{{range 5}}{{$.Input}}{{end}}", {"Input": "x" * 1_000_000})) == 5_000_000


PIECES = [
    *(
        "{{",
        "}}",
        "{{-",
        "-}}",
        "{{/*",
        "*/}}",
        "(",
        ")",
        "|",
        ":=",
        "=",
        ",",
        "$",
        "$x",
        "\n",
        "\t",
        "x",
        '"',
        "`",
        "'",
    ),
    *(
        ".",
        ".Input",
        ".Functions",
        ".Metadata",
        ".x.y",
        '"a"',
        '"("',
        '"%d"',
        "'a'",
        "0",
        "-1",
        "2.5",
        "0x",
        "1e9",
        "nil",
    ),
    *("true", "if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "join", "dict"),
    *(
        "print",
        "printf",
        "index",
        "eq",
        "and",
        "or",
        "not",
        "len",
        "list",
        "toJson",
        "indent",
        "trunc",
        "replace",
        "add",
    ),
    *("regexReplaceAll", "date", "now", "default", "\ufffd", "\ud800", "\0", "\u00bd", "\u00e9", "\u2028", "\\"),
]


@pytest.mark.parametrize("seed", range(20))
def test_garbage_raises_nothing_but_template_errors(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(150):
        source = choose.choice(["", " "]).join(choose.choices(PIECES, k=choose.randint(1, 25)))
        for candidate in (source, f"{{{{{source}}}}}", f"{{{{range .Functions}}}}{{{{{source}}}}}{{{{end}}}}"):
            with contextlib.suppress(TemplateError):
                render_template(candidate, DATA)
