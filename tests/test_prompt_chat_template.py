"""Expected strings were derived once from transformers' own `apply_chat_template`."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidRequest, ModelUnusable
from core.prompt.chat_template import ChatTemplate

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Sei kurz <b> 'x'"},
    {"role": "user", "content": " Hi \n"},
    {"role": "assistant", "content": "Yo"},
    {"role": "user", "content": "日本"},
]
TOOLS = [{"type": "function", "function": {"name": "f", "description": "é <"}}]


def render(source: str, messages: list[dict[str, Any]] = MESSAGES, **extra: Any) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages, **extra)


def test_blocks_leave_no_line_and_no_indent_behind() -> None:
    source = "  {% for m in messages[:2] %}\n    {{ m.role }}:\n  {% endfor %}\nend\n"
    assert render(source) == "    system:\n    user:\nend"


def test_messages_tokens_and_the_generation_cue_reach_the_template() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{{ '[' + m['role'] ~ ']' + m.content | trim + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    expected = "<s>[system]Sei kurz <b> 'x'</s>[user]Hi</s>[assistant]Yo</s>[user]日本</s>"
    assert render(source) == expected + "[assistant]"
    assert render(source, add_generation_prompt=False) == expected


def test_tojson_keeps_html_and_other_scripts_as_they_are() -> None:
    assert render("{{ tools | tojson }}", tools=TOOLS) == (
        '[{"type": "function", "function": {"name": "f", "description": "é <"}}]'
    )
    assert render("{{ {'b': 1, 'a': 'é'} | tojson(indent=2, sort_keys=true, ensure_ascii=true) }}") == (
        '{\n  "a": "\\u00e9",\n  "b": 1\n}'
    )


def test_absent_tools_and_documents_are_none_and_extra_variables_are_seen() -> None:
    source = "{{ tools is none }} {{ documents is none }} {{ enable_thinking is defined }} {{ unknown }}."
    assert render(source) == "True True False ."
    assert render(source, enable_thinking=False) == "True True True ."


def test_namespaces_macros_and_loop_controls_work() -> None:
    source = (
        "{% macro show(x, sep='+') %}{{ x | map('upper') | join(sep) }}{% endmacro %}{{ show(['a', 'b']) }} "
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
        "{% set ns.n = ns.n + m.content | length %}{% if loop.index0 == 2 %}{% break %}{% endif %}"
        "{% endfor %}{{ ns.n }}"
    )
    assert render(source) == "A+B 7"


def test_common_expressions_give_what_transformers_gives() -> None:
    source = (
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages[1:][-1].role }} "
        "{{ '%05.2f' % 3.14159 }} {{ '{{}}{}'.format(2) }} {{ 'a b'.split(' ')[-1] }} "
        "{{ {'b': 1, 'a': 2} | dictsort }} "
        "{% for k, v in {'x': 1}.items() %}{{ k }}{{ v }}{% endfor %} {{ 'x'.replace('x', 'yy') }} {{ messages[2] }}"
    )
    expected = "2 user 03.14 {}2 b [('a', 2), ('b', 1)] x1 yy {'role': 'assistant', 'content': 'Yo'}"
    assert render(source) == expected


def test_text_that_looks_like_a_wide_format_is_still_formatted() -> None:
    assert render("{{ '{a: {%s: 12345}}' % 'b' }}") == "{a: {b: 12345}}"


def test_generation_marks_only_enclose() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.role[0] }}{% endgeneration %}{% endfor %}"
    assert render(source) == "suau"


def test_the_date_is_offered() -> None:
    assert render("{{ strftime_now('%Y') | int > 2000 }}") == "True"


def test_a_refusal_by_the_template_is_the_requests_fault_in_the_templates_words() -> None:
    with pytest.raises(InvalidRequest, match="no system role here") as caught:
        render("{{ raise_exception('no system role here') }}")
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("source", "line"),
    [("\n{% if %}", 2), ("{{ 'a' | no_such_filter }}", 1), ("a\nb\n{% for x in messages %}", 3)],
)
def test_a_template_with_bad_syntax_is_refused_when_loaded(source: str, line: int) -> None:
    with pytest.raises(ModelUnusable, match=f"line {line}"):
        ChatTemplate(source, bos_token="", eos_token="")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("\n\n{{ messages.foo.bar }}", 3),
        ("{% macro f(x) %}\n{{ x.y.z }}{% endmacro %}\n{{ f(messages) }}", 2),
        ("\n{{ 1 / 0 }}", 2),
        ("{% include 'other' %}", 1),
        ("{{ none + 1 }}", 1),
    ],
)
def test_a_failure_while_rendering_names_the_line(source: str, line: int) -> None:
    with pytest.raises(ModelUnusable, match=f"failed in line {line}:"):
        render(source)


def test_one_template_renders_any_number_of_conversations() -> None:
    template = ChatTemplate("{{ messages[0].content }}", bos_token="", eos_token="")
    assert [template.render([{"role": "user", "content": text}]) for text in "abc"] == ["a", "b", "c"]
