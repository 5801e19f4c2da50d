"""Every function a template may call, as an expression and what it prints."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from core.prompt.gotemplate import TemplateRuntimeError, render_template, sprig_data
from core.prompt.gotemplate.functions import FUNCTIONS

CASES = [
    ('and 1 "" 2', ""),
    ("and 1 2", "2"),
    ("or 0 `x` 2", "x"),
    ("0 | or 2", "2"),
    ("and false (index (list) 5)", "false"),
    ("or true (index (list) 5)", "true"),
    ("not 0", "true"),
    ('eq .Input "x" "Hello"', "true"),
    ("eq nil .Nil", "true"),
    ("eq .Nil `a`", "false"),
    ('ne "a" "b"', "true"),
    ("lt 1 2", "true"),
    ('le "a" "a"', "true"),
    ("gt 1.5 1.0", "true"),
    ("ge 1 2", "false"),
    ('len "\u00e9"', "2"),
    ("len (list 1 2)", "2"),
    ("index (list 1 (list 2 3)) 1 0", "2"),
    ('index (dict "a" 1) "b"', "<no value>"),
    ('index .Metadata "lacking"', ""),
    ('index "A" 0', "65"),
    ('print "a" 1 2 "b" 3', "a1 2b3"),
    ("print 1 nil", "1 <nil>"),
    ('println 1 "a"', "1 a\n"),
    ('html "<a href=\'x\'>&\\""', "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
    ("html nil 1", "&lt;no value&gt;1"),
    ('js "\'a\' < \\"b\\" = \\n\u00e9\u2028"', "\\'a\\' \\u003C \\\"b\\\" \\u003D \\u000A\u00e9\\u2028"),
    ('urlquery "a b&\u00e9" 1', "a+b%26%C3%A91"),
    ('trim " \\n\u00a0x\u3000"', "x"),
    ('upper "stra\u00dfe"', "STRA\u00dfE"),
    ('lower "\u00c4B"', "\u00e4b"),
    ('title "hello w\u00f6rld-it\'s a_b"', "Hello W\u00f6rld-It'S A_b"),
    ('contains "ell" .Input', "true"),
    ('hasPrefix "He" .Input', "true"),
    ('hasSuffix "He" .Input', "false"),
    ('trimPrefix "He" .Input', "llo"),
    ('.Input | trimSuffix "lo"', "Hel"),
    ('replace "l" "LL" .Input', "HeLLLLo"),
    ('replace "" "-" "ab"', "-a-b-"),
    ('regexReplaceAll "a(x*)b" "ab-axxb" "${1}W$1W$$"', "W$-xxW$"),
    ('regexReplaceAll "x*" "abxc" "-"', "-a-b-c-"),
    ('regexReplaceAll "(?P<v>[aeiou])" "banana" "<$v$lacking>"', "b<a>n<a>n<a>"),
    ('splitList "," "a,b" | toJson', '["a","b"]'),
    ('splitList "" "a\u00e9" | toJson', '["a","\u00e9"]'),
    ('list 1 nil "b" 2.5 | join ", "', "1, b, 2.5"),
    ('join "," "alone"', "alone"),
    ('join "," nil', ""),
    ('trunc 2 "abc"', "ab"),
    ('trunc -2 "abc"', "bc"),
    ('trunc 2.0 "abc"', "ab"),
    ('trunc 9 "abc"', "abc"),
    ('trunc 2 "a\u00e9"', "a\ufffd"),
    ('indent 2 "a\\nb"', "  a\n  b"),
    ('nindent 1 "a"', "\n a"),
    ('nospace " a\\tb "', "ab"),
    ('nospace "\u00e9"', "\u00e9"),
    ('nospace "\u00e9 "', "\u00c3\u00a9"),
    ('quote "a\\"b\\n" 1 nil "\u00e9\\x01\u2028"', '"a\\"b\\n" "1" "\u00e9\\x01\\u2028"'),
    ('squote "it\'s" nil 1', "'it's' '1'"),
    ("toString 1.5", "1.5"),
    ('default "x" ""', "x"),
    ('.Input | default "x"', "Hello"),
    ('default "x"', "x"),
    ("empty 0", "true"),
    ('coalesce nil "" 0 "z"', "z"),
    ('ternary "yes" "no" true', "yes"),
    ("list 1 2 | first", "1"),
    ("list 1 2 | last", "2"),
    ("first (list)", "<no value>"),
    ('get (dict "a" 1) "b"', ""),
    ('hasKey (dict "a" 1) "a"', "true"),
    ('dict "a" 1 "b"', "map[a:1 b:]"),
    ('add 1 "2" 3.7 true nil', "7"),
    ('add "9223372036854775807" 1', "-9223372036854775808"),
    ('add1 "0x10"', "17"),
    ('add1 "no number"', "1"),
    ('sub 1 "3.0"', "-2"),
    ("mul 2 3 4", "24"),
    ('toJson "<&>\\u2028\\u007f\\n"', '"\\u003c\\u0026\\u003e\\u2028\u007f\\n"'),
    ("toJson (list 1 2.0 2.5 1e21 1e20 1e-7 true nil)", "[1,2,2.5,1e+21,100000000000000000000,1e-7,true,null]"),
    ('toRawJson "<&>"', '"<&>"'),
    ('toPrettyJson (dict "a" (list 1) "b" (dict))', '{\n  "a": [\n    1\n  ],\n  "b": {}\n}'),
    ("printf `%d|%5d|%-5d|%05d|%+d` 1 2 3 -4 5", "1|    2|3    |-0004|+5"),
    ("printf `%s|%5s|%-3s|%.1s|%q|%x` `a` `b` `c` `de` `f` `hi`", 'a|    b|c  |d|"f"|6869'),
    ("printf `%v|%v|%v|%t|%%` 1.5 nil (list 1 `a`) true", "1.5|<nil>|[1 a]|true|%"),
    ("printf `%.2f|%6.1f|%e|%g` 1.0 2.25 1e7 1e7", "1.00|   2.2|1.000000e+07|1e+07"),
    ("printf `%c|%U|%x|%o|%b` 65 65 255 8 5", "A|U+0041|ff|10|101"),
    ("printf `%d %s` `a` 1", "%!d(string=a) %!s(int=1)"),
    ("printf `%s`", "%!s(MISSING)"),
    ("printf `a` 1 `b`", "a%!(EXTRA int=1, string=b)"),
    ("printf `%`", "%!(NOVERB)"),
    ("now", "2024-02-09 07:04:05.5 -0330 -0330"),
    ("toJson now", '"2024-02-09T07:04:05.5-03:30"'),
    ("now | date `Monday, Mon 02 January Jan 2 2006`", "Friday, Fri 09 February Feb 9 2024"),
    ("now | date `01/02/06 1 _2 002 __2 Janet`", "02/09/24 2  9 040  40 Janet"),
    ("now | date `15:04:05.000 3:4:5PM 03pm`", "07:04:05.500 7:4:5AM 07am"),
    ("now | date `-0700 -07:00 Z07:00 MST`", "-0330 -03:30 -03:30 -0330"),
    ("date `2006` 86400", "1970"),
    ("date `2006` `no time`", "2024"),
]
NOW = datetime(2024, 2, 9, 7, 4, 5, 500_000, tzinfo=timezone(-timedelta(hours=3, minutes=30), "-0330"))


@pytest.fixture(autouse=True)
def _pinned_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprig_data, "now", lambda: NOW)


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_functions_print_what_go_and_sprig_print(expression: str, expected: str) -> None:
    data = {"Input": "Hello", "Metadata": {"a": "b"}, "Nil": None}
    assert render_template(f"{{{{{expression}}}}}", data) == expected


def test_every_function_has_a_case() -> None:
    words = {word for expression, _ in CASES for word in expression.replace("(", " ").split()}
    assert set(FUNCTIONS) <= words


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('regexReplaceAll "(" "a" "b"', "no regular expression"),
        ('first "abc"', "a list is needed"),
        ('indent -1 "x"', "negative"),
        ('hasKey .Metadata "a"', "a map is needed"),
        ("ternary 1 2 3", "true or false is needed"),
        ("index nil 1", "nil has no items"),
        ("eq 1", "something to compare with"),
        ("date `2006` 99999999999999", "no year"),
        ("printf `%*d` 5 1", "does not know"),
        ("printf `%99999d` 1", "at most"),
        ("printf `%q` 65", "does not know"),
        ("toRawJson (index .Infinite `x`)", "infinite"),
    ],
)
def test_wrong_values_are_named(expression: str, message: str) -> None:
    data = {"Metadata": {"a": "b"}, "Infinite": {"x": float("inf")}}
    with pytest.raises(TemplateRuntimeError, match=message):
        render_template(f"{{{{{expression}}}}}", data)


def test_json_of_what_json_cannot_write_is_nothing() -> None:
    assert render_template("{{toJson .X}}{{toPrettyJson .X}}", {"X": [float("nan")]}) == ""
