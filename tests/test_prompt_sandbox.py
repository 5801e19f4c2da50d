"""A hostile template ends in an error, soon and without filling memory (each would run for hours or take gigabytes)."""

from __future__ import annotations

import pytest

from core.errors import ModelUnusable
from core.prompt.budget import MAX_STEPS
from core.prompt.chat_template import ChatTemplate

DOUBLING = "{%% set ns = namespace(s='ab', l=['ab'], a='x', b='x') %%}{%% for i in range(60) %%}%s{%% endfor %%}"


def render(source: str) -> str:
    template = ChatTemplate(source, bos_token="", eos_token="")
    return template.render([{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 10**9 * [1] }}",
        "{{ 10**(10**9) }}",
        "{{ range(10**9) | list }}",
        "{% for i in range(99999) %}" + "x" * 10_000 + "{% endfor %}",
        DOUBLING % "{% set ns.s = ns.s + ns.s %}",
        DOUBLING % "{% set ns.l = ns.l + ns.l %}",
        DOUBLING % "{% set ns.s = ns.s ~ ns.s %}",
        DOUBLING % "{% set ns.s = ns.s.replace('a', 'aa') %}",
        DOUBLING % "{% set ns.s = ns.s | replace('a', 'aa') %}",
        DOUBLING % "{% set ns.s = [ns.s, ns.s] | join %}",
        DOUBLING % "{% set ns.s = ''.join([ns.s, ns.s]) %}",
        DOUBLING % "{% set ns.s = '%s%s' % (ns.s, ns.s) %}",
        DOUBLING % "{% set ns.s = '{0}{0}'.format(ns.s) %}",
        DOUBLING % "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}",
        DOUBLING % "{% set ns.s = [ns.s, ns.s] %}" + "{{ ns.s }}",
        DOUBLING % "{% set ns.s = dict(a=ns.s, b=ns.s) %}" + "{{ ns.s | tojson }}",
        "{{ 'a' | indent(10**9, true) }}",
        "{{ ([1] * 100000) | tojson(separators=('x' * 100000, ':')) }}",
        "{% set ns = namespace(l=[1] * 100000) %}{% for i in range(100) %}{% set ns.l = [ns.l] %}{% endfor %}"
        "{{ ns.l | tojson(indent=8) }}",
        "{{ ([[1] * 1000000] * 1000) | sum(start=[]) }}",
    ],
)
def test_text_cannot_grow_out_of_proportion(source: str) -> None:
    with pytest.raises(ModelUnusable, match=r"more text|bits|Range too big"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    ],
)
def test_loops_and_calls_are_counted(source: str) -> None:
    with pytest.raises(ModelUnusable, match=f"more than {MAX_STEPS} loop steps and calls"):
        render(source)


def test_endless_recursion_ends() -> None:
    with pytest.raises(ModelUnusable, match="recursion"):
        render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")


@pytest.mark.parametrize("pair", ["[ns.{0}, ns.{0}]", "{{'x': ns.{0}, 'y': ns.{0}}}", "(ns.{0}, ns.{0})"])
def test_values_that_would_compare_for_ever_cannot_be_built(pair: str) -> None:
    steps = f"{{% set ns.a = {pair.format('a')} %}}{{% set ns.b = {pair.format('b')} %}}"
    with pytest.raises(ModelUnusable, match="more text"):
        render(DOUBLING % steps + "{{ ns.a == ns.b }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ '%999999999d' % 1 }}",
        "{{ '%(a)999999999d' % {'a': 1} }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 999999999) }}",
        "{{ '{a:999999999}'.format_map({'a': 1}) }}",
    ],
)
def test_formats_of_huge_width_are_refused(source: str) -> None:
    with pytest.raises(ModelUnusable, match="width"):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='x') }}",
        "{{ dict.update(messages[0], {'role': 'x'}) }}",
        "{{ render.__globals__ }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'.encode() }}",
        "{{ (1).to_bytes(10**9, 'big') }}",
    ],
)
def test_nothing_outside_can_be_reached_or_changed(source: str) -> None:
    with pytest.raises(ModelUnusable, match="failed in line 1"):
        render(source)


@pytest.mark.parametrize("source", ["{{ 'a' | center(10**9) }}", "{% for i in [1] %}" * 25 + "{% endfor %}" * 25])
def test_what_cannot_be_run_safely_is_refused_when_loaded(source: str) -> None:
    with pytest.raises(ModelUnusable):
        ChatTemplate(source, bos_token="", eos_token="")


def test_the_budget_grows_with_the_messages() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", bos_token="", eos_token="")
    messages = [{"role": "user", "content": "x" * 1_000_000}] * 10
    assert len(template.render(messages)) == 10_000_000
