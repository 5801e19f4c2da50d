"""The template language: each of Go's rules that prompts meet, as a template and what it prints."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.prompt.gotemplate import (
    GoTemplate,
    TemplateError,
    TemplateRuntimeError,
    TemplateSyntaxError,
    render_template,
    to_json,
)

TOOL = {
    "name": "clock",
    "description": "Tells the time in <city>",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 80}}, "required": None},
}
PROMPT: Mapping[str, Any] = {
    "SystemPrompt": "Be kind.",
    "SuppressSystemPrompt": False,
    "Input": "Hello",
    "Instruction": "",
    "Functions": [TOOL, {"name": "ping", "description": "", "parameters": None}],
    "MessageIndex": 0,
    "Metadata": {"mode": "fast"},
}
TOOL_CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"city":"Bonn"}'}}
MESSAGE: Mapping[str, Any] = {
    "RoleName": "assistant",
    "Content": "",
    "MessageIndex": 2,
    "FunctionCall": [TOOL_CALL],
    "LastMessage": True,
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a {{- .Input -}} b", "aHellob"),
        ("a \t\r\n{{- .Input -}}\n\n b", "aHellob"),
        ("a\u00a0\f{{- .Input -}}\v\u3000b", "a\u00a0\fHello\v\u3000b"),
        ("{{3 -}} x", "3x"),
        ("{{-3}}", "-3"),
        ("a {{/* no\none */}} b", "a  b"),
        ("a {{- /* none */ -}} b", "ab"),
        ("{{if true}}\nx\n{{end}}\n", "\nx\n\n"),
        ("x\r\n{{.Input}}\r\n", "x\r\nHello\r\n"),
        ("{% if %} {# x #} }} { {{.Input}}", "{% if %} {# x #} }} { Hello"),
        ("{{`{{raw}} \\n`}}", "{{raw}} \\n"),
        ("{{ .Input\n}}", "Hello"),
        ("", ""),
    ],
)
def test_text_is_kept_but_for_what_trim_markers_touch(source: str, expected: str) -> None:
    assert render_template(source, PROMPT) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{if .Instruction}}a{{else if .Input}}b{{else}}c{{end}}", "b"),
        ("{{if .Instruction}}a{{else if .Nil}}b{{else}}c{{end}}", "c"),
        ("{{with .Input}}<{{.}}>{{end}}", "<Hello>"),
        ("{{with .Instruction}}a{{else with .Input}}{{.}}{{end}}", "Hello"),
        ("{{range .Functions}}{{.Name}},{{$.Input}};{{end}}", "clock,Hello;ping,Hello;"),
        ("{{range $i, $f := .Functions}}{{$i}}{{$f.Name}}{{end}}", "0clock1ping"),
        ("{{range $key, $value := .Metadata}}{{$key}}={{$value}}{{end}}", "mode=fast"),
        ("{{range .Metadata}}{{.}}{{end}}", "fast"),
        ("{{range .Nil}}a{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range list 1 2 3 4}}{{if eq . 2}}{{continue}}{{end}}{{if eq . 4}}{{break}}{{end}}{{.}}{{end}}", "13"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("{{$x := 1}}{{range $x := list 5 6}}{{$x}}{{end}}{{$x}}", "561"),
        ("{{$x := 1}}{{range $x = list 5 6}}{{end}}{{$x}}", "6"),
        ('{{define "t"}}<{{.}}{{$}}>{{end}}{{template "t" .Input}}', "<HelloHello>"),
        ('{{define "t"}}{{.}}{{end}}{{template "t"}}', "<no value>"),
        ('{{block "b" 1}}[{{.}}]{{end}}{{template "b" 2}}', "[1][2]"),
    ],
)
def test_control_structures(source: str, expected: str) -> None:
    assert render_template(source, {**PROMPT, "Nil": None}) == expected


@pytest.mark.parametrize("value", ["", 0, 0.0, False, None, [], {}])
def test_what_is_empty_is_false(value: Any) -> None:
    assert render_template("{{if .X}}true{{else}}false{{end}}", {"X": value}) == "false"


def test_a_struct_is_true_though_its_fields_are_empty() -> None:
    assert render_template("{{range .Images}}{{if .}}true{{end}}{{end}}", {"Images": [{"ID": 0}]}) == "true"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{true}} {{print nil}} {{1.0}} {{2.5}} {{100000.0}} {{1000000.0}}", "true <nil> 1 2.5 100000 1e+06"),
        ("{{'a'}} {{0x10}} {{1_000}} {{.5}} {{1e3}} {{-0b11}} {{0o17}}", "97 16 1000 0.5 1000 -3 15"),
        (r'{{"\x41\102\u00e9\U0001F30D\\\"\t"}}', 'AB\u00e9\U0001f30d\\"\t'),
        ('{{.Metadata.lacking}} {{list 1 "b" nil}}', "<no value> [1 b <nil>]"),
        ('{{dict "b" 1 "a" (list)}}', "map[a:[] b:1]"),
        ("{{range .Functions}}{{.}}{{end}}", None),
    ],
)
def test_values_are_printed_as_go_prints_them(source: str, expected: str | None) -> None:
    if expected is None:
        expected = (
            "{clock Tells the time in <city> false map[properties:map[city:map[maxLength:80 type:string]] "
            "required:<nil> type:object]}{ping  map[]}"
        )
    assert render_template(source, PROMPT) == expected


def test_nil_lists_and_maps_print_as_empty_and_are_null_in_json() -> None:
    data = {"Functions": None, "Metadata": None, "FunctionCall": None}
    source = "{{.Functions}}{{.Metadata}}{{.FunctionCall}}{{len .Functions}} {{toJson .Functions}}{{toJson .Metadata}}"
    assert render_template(source, data) == "[]map[]<no value>0 nullnull"


def test_numbers_of_a_tools_parameters_are_floats_and_those_of_the_prompt_integers() -> None:
    parameters = {"name": "f", "parameters": {"n": 2}}
    source = "{{range .Functions}}{{eq .Parameters.n 2.0}}{{.Parameters.n}}{{end}}{{eq .MessageIndex 0}}"
    assert render_template(source, {**PROMPT, "Functions": [parameters]}) == "true2true"


def test_tools_have_fields_in_go_and_names_in_json() -> None:
    source = "{{range .Functions}}{{.Name}}:{{.Parameters.type}}:{{toJson .}}\n{{end}}"
    assert render_template(source, PROMPT) == (
        'clock:object:{"name":"clock","description":"Tells the time in \\u003ccity\\u003e","strict":false,"parameters":'
        '{"properties":{"city":{"maxLength":80,"type":"string"}},"required":null,"type":"object"}}\n'
        'ping:<no value>:{"name":"ping","description":"","parameters":null}\n'
    )


def test_a_list_of_tool_calls_is_a_list_of_structs() -> None:
    source = "{{range .FunctionCall}}{{.Index}}{{.ID}}{{.Type}}{{.FunctionCall.Name}}{{end}}{{toJson .FunctionCall}}"
    assert render_template(source, MESSAGE) == (
        '0c1functionclock[{"index":0,"id":"c1","type":"function",'
        '"function":{"name":"clock","arguments":"{\\"city\\":\\"Bonn\\"}"}}]'
    )


def test_a_legacy_call_is_a_map() -> None:
    data = {"FunctionCall": {"name": "clock", "arguments": "{}"}}
    source = '{{.FunctionCall.name}} {{index .FunctionCall "name"}} {{.FunctionCall.Name}} {{toJson .FunctionCall}}'
    assert render_template(source, data) == 'clock clock <no value> {"arguments":"{}","name":"clock"}'


def test_calls_without_a_template_are_written_as_a_template_would() -> None:
    assert to_json([TOOL_CALL]) == render_template("{{toJson .FunctionCall}}", MESSAGE)
    assert to_json({"name": "f", "arguments": "<"}) == '{"arguments":"\\u003c","name":"f"}'
    assert to_json([]) == "[]"
    with pytest.raises(TemplateRuntimeError):
        to_json({"n": float("inf")})


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("a\n{{.Input", 2, "not closed"),
        ("{{-.Input}}", 1, "'-.Input' is no number|'-.I"),
        ("{{.Input-}}", 1, "cannot follow"),
        ("{{{.Input}}}", 1, "'{' is unexpected"),
        ("\n\n{{end}}", 3, r"\{\{end\}\} has no place"),
        ("{{if .Input}}\nx\n", 3, r"\{\{end\}\} is missing"),
        ("{{if true}}{{else}}{{else}}{{end}}", 1, "else"),
        ("{{if}}x{{end}}", 1, "has no value"),
        ("{{nothing .Input}}", 1, 'no function "nothing"'),
        ("{{slice .Input 1}}", 1, 'the function "slice" is not supported'),
        ('{{env "HOME"}}', 1, 'the function "env" is not supported'),
        ("{{$x}}", 1, "not declared"),
        ('{{"a}}', 1, "double quotes"),
        ("{{(1}}", 1, r"'\(' is not closed"),
        ("{{1)}}", 1, r"'\)' closes nothing"),
        ("{{/* a }}", 1, "comment"),
        ("{{break}}", 1, "outside of a range"),
        ("{{.Input | 1}}", 1, "constant"),
        ("{{true.X}}", 1, "no field"),
        ("{{range $a, $b, $c := .}}{{end}}", 1, "two variables"),
        ('{{define "a"}}1{{end}}{{define "a"}}2{{end}}', 1, "twice"),
        ("{{'ab'}}", 1, "not one character"),
        (r'{{"\q"}}', 1, "escape"),
        ("{{1.2.3}}", 1, "unexpected"),
        ("{{99999999999999999999}}", 1, "64 bits"),
        ("{{.Input \x01}}", 1, "means nothing"),
    ],
)
def test_what_is_no_template_is_refused_with_its_line(source: str, line: int, message: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=message) as caught:
        GoTemplate(source)
    assert caught.value.line == line
    assert str(caught.value) == f"line {line}: {caught.value.message}"


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("a\n{{.Lacking}}", 2, 2, r"no field \.Lacking here; the template can use \.RoleName, \.Content"),
        ("\u00e9{{.FunctionCall.Name}}", 1, 17, "its owner is a list"),
        ('{{index .FunctionCall "name"}}', 1, 2, "a text is no position"),
        ("{{index .FunctionCall 1}}", 1, 2, "no item 1 among 1"),
        ("{{eq .MessageIndex `2`}}", 1, 2, "cannot be compared"),
        ("{{eq .FunctionCall .FunctionCall}}", 1, 2, "a list cannot be compared"),
        ("{{lt 1 2.0}}", 1, 2, "no order"),
        ("{{nil}}", 1, 2, "nil"),
        ("{{.Content 1}}", 1, 2, "only a function"),
        ("{{1 | .Content}}", 1, 6, "only a function"),
        ("{{len 1 2}}", 1, 2, "needs 1 values and is given 2"),
        ("{{len 1}}", 1, 2, "no length"),
        ("{{upper 1}}", 1, 8, "a text is needed"),
        ('{{trunc (add 1) "x"}}', 1, 9, "an int is needed"),
        ("{{range .Content}}{{end}}", 1, 8, "cannot go through a text"),
        ("{{range $i, $x := 3}}{{end}}", 1, 18, "2 variables"),
        ('{{template "lacking"}}', 1, 11, 'no template "lacking"'),
        ("{{$x = 1}}", 1, 7, "not declared"),
        ("{{now | date}}", 1, 8, "needs 2 values and is given 1"),
    ],
)
def test_what_cannot_be_printed_is_refused_with_its_place(source: str, line: int, column: int, message: str) -> None:
    template = GoTemplate(source)
    with pytest.raises(TemplateRuntimeError, match=message) as caught:
        template.render(MESSAGE)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_lacking_key_has_no_fields_to_miss_and_nil_has_none_to_read() -> None:
    data = {"FunctionCall": {"a": None}}
    assert render_template("{{.FunctionCall.b.c}}{{$a := .FunctionCall.a}}{{$a.b}}", data) == "<no value><no value>"
    with pytest.raises(TemplateRuntimeError, match="its owner is nil"):
        render_template("{{.FunctionCall.a.b}}", data)


@pytest.mark.parametrize("path", [".Input.upper", ".Input.__class__", ".__class__", "(now).year", "$.Functions.append"])
def test_nothing_of_python_can_be_reached(path: str) -> None:
    with pytest.raises(TemplateRuntimeError):
        render_template(f"{{{{{path}}}}}", PROMPT)


def test_fields_names_what_is_read_from_dot_or_the_root() -> None:
    template = GoTemplate("{{if .A.B}}{{range .C}}{{.D}}{{$.E.F}}{{end}}{{end}}{{$x := 1}}{{(index .G 0).H}}")
    assert template.fields == {"A", "C", "D", "E", "G"}


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    data = {"Input": "a\ud800", "FunctionCall": {"\udc00": "\ud800"}}
    assert render_template("\ud800{{.Input}}{{toJson .FunctionCall}}", data) == '\ufffda\ufffd{"\ufffd":"\ufffd"}'


def test_one_template_renders_in_several_threads() -> None:
    template = GoTemplate("{{$x := .Input}}{{range 50}}{{$x = print $x .}}{{end}}{{$x}}")
    with ThreadPoolExecutor(4) as pool:
        printed = list(pool.map(lambda i: template.render({"Input": f"{i}:"}), range(40)))
    assert printed == [f"{i}:" + "".join(map(str, range(50))) for i in range(40)]


def test_both_errors_are_template_errors() -> None:
    assert issubclass(TemplateSyntaxError, TemplateError)
    assert issubclass(TemplateRuntimeError, TemplateError)
