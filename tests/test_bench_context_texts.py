"""What a context is asked: texts that hide facts, how long they are, and what counts as an answer."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bench.context.haystack import DEPTHS, QUESTIONS_PER_TASK, TASKS, Question, haystack, plain_text
from bench.context.lengths import Ruler, choose_lengths
from bench.errors import BenchError


def test_every_fact_stands_where_its_depth_says_and_only_there() -> None:
    stack = haystack(400, nonce="n", seed="s")
    for question in stack.questions:
        (place,) = [match.start() / len(stack.text) for match in re.finditer(question.answer, stack.text)]
        assert place == pytest.approx(question.depth / 100, abs=0.05)


def test_a_text_depends_on_its_seed_and_only_its_opening_on_the_nonce() -> None:
    one, other = haystack(50, nonce="one", seed="s"), haystack(50, nonce="other", seed="s")
    assert one.text.removeprefix("one") == other.text.removeprefix("other")
    assert one.questions == other.questions
    assert haystack(50, nonce="one", seed="t").text != one.text
    assert plain_text(50, nonce="one", seed="s").count(".") == 51


def test_texts_of_different_lengths_are_asked_the_same() -> None:
    short, long = haystack(50, nonce="n", seed="s"), haystack(500, nonce="n", seed="s")
    assert short.questions == long.questions


def test_each_task_asks_on_every_depth_and_the_text_comes_before_the_question() -> None:
    stack = haystack(50, nonce="n", seed="s")
    for task in TASKS:
        depths = Counter(question.depth for question in stack.questions if question.task == task)
        assert depths == dict.fromkeys(DEPTHS, QUESTIONS_PER_TASK // len(DEPTHS))
    assert all(stack.asking(question).startswith(stack.text) for question in stack.questions)


@pytest.mark.parametrize("text", ["48213", "It is 48,213.", "48.213 coins", "first 1, then 48213"])
def test_a_right_number_counts_however_it_is_written(text: str) -> None:
    assert Question("retrieval", 0, "?", "48213").is_answered_by(text)


@pytest.mark.parametrize("text", ["", "4821", "148213", "I do not know"])
def test_another_number_does_not(text: str) -> None:
    assert not Question("retrieval", 0, "?", "48213").is_answered_by(text)


def test_lengths_go_from_the_short_text_to_the_top() -> None:
    assert choose_lengths(8192, quick=False) == [1024, 2048, 4096, 6144, 7373, 8192]
    assert choose_lengths(32768, quick=False)[:4] == [1024, 2048, 4096, 8192]
    assert choose_lengths(8192, quick=True) == [1024, 4096, 8192]
    assert choose_lengths(1600, quick=True) == [800, 1600]
    with pytest.raises(BenchError, match="cannot be compared"):
        choose_lengths(1000, quick=True)


def test_a_ruler_knows_the_template_the_facts_and_the_sentences_apart() -> None:
    ruler = Ruler.from_counts((4, 30 + 4 * 20), (44, 30 + 44 * 20), (4, 30 + 500 + 4 * 20))
    assert (ruler.fixed, ruler.facts, ruler.per_sentence) == (30, 500, 20)
    assert ruler.sentences(30 + 500 + 100 * 20, facts=True) == 100
    ruler.refine(100, 30 + 500 + 100 * 22, facts=True)
    assert ruler.sentences(30 + 2200, facts=False) == 100
    with pytest.raises(BenchError, match="short and a long text"):
        Ruler.from_counts((4, 100), (44, 100), (4, 100))
