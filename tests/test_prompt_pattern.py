from __future__ import annotations

import pytest

from core.prompt.pattern import Shape, compile_pattern, shape_of


@pytest.mark.parametrize(
    ("expression", "shape"),
    [
        ("abc", Shape("abc", width=3)),
        (r"a\.b\|", Shape("a.b|", width=4)),
        ("ab?c", Shape("a", width=3)),
        ("x{2,5}y", Shape(width=6)),
        (r"[^\]a-z]\d{3}", Shape(width=4)),
        ("(?s)<think>.*?</think>", Shape("<think>", is_final=True)),
        (r"(?is)<think>.+?\n", Shape(is_final=True)),
        ("<b>.{3,}?</b>", Shape("<b>", is_final=True)),
        ("Note:.*", Shape("Note:")),
        ("<a>.*?<b>x*?<c>", Shape("<a>")),
        ("<a>.*?<b>?", Shape("<a>")),
    ],
)
def test_plain_sequences_are_understood(expression: str, shape: Shape) -> None:
    assert shape_of(expression) == shape


@pytest.mark.parametrize(
    "expression", ["a|b", "(ab)", "^a", "a$", r"\ba", r"a\z", "[[:alpha:]]", r"\pN", "a{,3}", "[^]a]"]
)
def test_of_anything_else_nothing_is_claimed(expression: str) -> None:
    compile_pattern(expression)
    assert shape_of(expression) == Shape()


def test_an_expression_that_go_would_refuse_is_an_error_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"'a\(' is not a regular expression .* missing \)"):
        compile_pattern("a(")
    with pytest.raises(ValueError, match="regular expression"):
        compile_pattern("(?=ahead)")
