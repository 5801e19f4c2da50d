from __future__ import annotations

import pytest

from core.config.document import DocumentError, parse_document


def test_scalars_stay_the_text_in_the_file() -> None:
    document = parse_document('a: yes\nb: 1.50\nc: 2024-01-02\nd: "quoted"\ne: 0x10')
    assert document.value == {"a": "yes", "b": "1.50", "c": "2024-01-02", "d": "quoted", "e": "0x10"}


def test_every_key_and_item_knows_its_line() -> None:
    document = parse_document("name: a\nparameters:\n  model: x\nstopwords:\n- one\n- two\n")
    assert document.lines[("parameters", "model")] == 3
    assert document.lines[("stopwords", 1)] == 6


@pytest.mark.parametrize("null", ["", "~", "null", "Null"])
def test_a_null_is_an_absent_key(null: str) -> None:
    assert parse_document(f"a: {null}\nb: 1\nc: [x, {null or '~'}]").value == {"b": "1", "c": ["x"]}


def test_a_quoted_null_is_text() -> None:
    assert parse_document('a: "null"').value == {"a": "null"}


def test_an_escaped_single_quote_is_accepted_as_go_does() -> None:
    assert parse_document(r'a: "it\'s"').value == {"a": "it's"}


def test_own_keys_win_over_merged_ones_wherever_the_merge_stands() -> None:
    text = "base: &b {x: 1, y: 2}\nfirst: {x: 3, <<: *b}\nlist: {<<: [{x: 8}, *b]}\ncopy: *b"
    value = parse_document(text).value
    assert value["first"] == {"x": "3", "y": "2"}
    assert value["list"] == {"x": "8", "y": "2"}
    assert value["copy"] == {"x": "1", "y": "2"}


def test_of_a_repeated_key_the_last_counts_and_is_reported() -> None:
    document = parse_document("p:\n  a: 1\n  a: 2")
    assert document.value == {"p": {"a": "2"}}
    assert document.repeated == [("p", "a")]
    assert document.lines[("p", "a")] == 3


def test_only_the_first_document_counts() -> None:
    assert parse_document("a: 1\n---\nb: [").value == {"a": "1"}


@pytest.mark.parametrize("text", ["", "# a comment", "---"])
def test_a_file_without_content_is_none(text: str) -> None:
    assert parse_document(text).value is None


def test_a_tag_constructs_nothing() -> None:
    assert parse_document("a: !!python/object/apply:os.getcwd []").value == {"a": []}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: [", 2), ("a: 1\nb: c: d", 2), ("a:\n\tb: 1", 2), ("a: 1\nb: *nowhere", 2), ("x: 1\n? [a]\n: 2", 2)],
)
def test_bad_yaml_names_its_line(text: str, line: int) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(text)
    assert caught.value.line == line


def test_aliases_cannot_multiply_a_small_file() -> None:
    levels = [f"k{level}: &k{level} [{', '.join([f'*k{level - 1}'] * 10)}]" for level in range(1, 9)]
    with pytest.raises(DocumentError, match="once aliases are expanded"):
        parse_document("\n".join(["k0: &k0 [x]", *levels]))


@pytest.mark.parametrize("text", ["a: &a [*a]", "[" * 5000, "{a: " * 5000, "a: &a {<<: *a}"])
def test_endless_nesting_is_an_error_not_a_crash(text: str) -> None:
    with pytest.raises(DocumentError, match="nested too deeply"):
        parse_document(text)
