from __future__ import annotations

import pytest

from core.prompt.gotemplate import GoTemplate


def reads(source: str) -> list[tuple[str, bool]]:
    return [(read.name, read.always) for read in GoTemplate(source).root_reads()]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{.A}}{{$.B.C}}{{len (print .D)}}{{(index .E 0).F}}", ["A", "B", "D", "E"]),
        ("{{$x := .A}}{{$x.B}}", ["A"]),
        ("{{if .A}}{{else if .B}}{{end}}", ["A", "-B"]),
        ("{{if .A}}{{.B}}{{else}}{{.C}}{{end}}", ["A", "-B", "-C"]),
        ("{{range .A}}{{.B}}{{$.C}}{{else}}{{.D}}{{end}}", ["A", "-C", "-D"]),
        ("{{with .A}}{{.B}}{{end}}{{with .}}{{.C}}{{end}}", ["A", "-C"]),
        ('{{template "t" .}}{{define "t"}}{{.A}}{{$.B}}{{template "t" .}}{{end}}', ["A", "B"]),
        ('{{template "t" .A}}{{define "t"}}{{.B}}{{$.C}}{{end}}', ["A"]),
        ("{{range .A}}{{with $}}{{.B}}{{end}}{{end}}", ["A", "-B"]),
        ('{{block "t" $}}{{.A}}{{end}}', ["A"]),
    ],
)
def test_what_is_read_from_the_data_itself_is_told_from_all_else(source: str, expected: list[str]) -> None:
    """A dash marks what a rendering may not come to."""
    assert reads(source) == [(name.removeprefix("-"), not name.startswith("-")) for name in expected]
