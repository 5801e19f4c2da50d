"""How far a model reads: scores of each length against those of a short text, and when they decide."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from bench.context.haystack import DEPTHS, QUESTIONS_PER_TASK, TASKS, Question
from bench.context.ladder import effective_limit
from bench.context.scores import Scores
from bench.context.sequential import THRESHOLD, judge, texts_to_resolve

LENGTHS = (1024, 2048, 4096, 8192, 16384)


def test_a_faultless_model_is_told_to_hold_by_one_text() -> None:
    assert judge((30, 30), (90, 90), texts=3) == "holds"
    assert judge((28, 30), (90, 90), texts=3) == "unresolved"
    assert judge((15, 30), (90, 90), texts=3) == "fails"


@pytest.mark.parametrize("base", [1.0, 0.95, 0.8, 0.6])
@pytest.mark.parametrize("texts", [1, 3, 6])
def test_a_model_on_the_threshold_is_misjudged_by_at_most_five_percent(texts: int, base: float) -> None:
    """Computed and not sampled: over every base that may be measured, and every course of right answers until a text
    decides."""
    found = verdicts(texts, base, THRESHOLD * base)
    assert found["holds"] + found["fails"] <= 0.055


def test_a_model_that_keeps_its_score_hardly_ever_fails_and_one_that_halves_it_never_holds() -> None:
    for base in (1.0, 0.8, 0.6):
        assert verdicts(3, base, base)["fails"] < 0.002
        assert verdicts(3, base, base / 2)["holds"] < 0.0001
    assert verdicts(3, 1.0, 1.0)["holds"] == pytest.approx(1)
    assert verdicts(3, 1.0, 0.5)["fails"] > 0.99


def verdicts(texts: int, base: float, share: float, per_text: int = 30) -> Counter[str]:
    """The chance of each verdict."""
    found: Counter[str] = Counter()
    most = texts * per_text
    for base_right, base_chance in enumerate(binomial(most, base)):
        if base_chance < 1e-6:
            continue
        undecided = {0: base_chance}
        for text in range(1, texts + 1):
            undecided, before = {}, undecided
            for right, chance in reached(before, binomial(per_text, share)).items():
                verdict = judge((right, text * per_text), (base_right, most), texts)
                if verdict != "unresolved" or text == texts:
                    found[verdict] += chance
                else:
                    undecided[right] = chance
    return found


def reached(before: Mapping[int, float], step: Sequence[float]) -> Counter[int]:
    after: Counter[int] = Counter()
    for right, chance in before.items():
        for more, of_step in enumerate(step):
            after[right + more] += chance * of_step
    return after


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def scored(texts: int, share: Callable[[str, int], float], lengths: tuple[int, ...] = (1024, 2048, 4096)) -> Scores:
    """Texts are asked about while the scores want them; of each 10 questions, this share is answered rightly."""
    scores = Scores(lengths[0], texts)
    for length in lengths:
        while True:
            tasks = scores.tasks_at(length)
            scores.add_text(length, [(q, index < 10 * share(q.task, length)) for index, q in asked(tasks)])
            if not scores.is_open(length):
                break
    return scores


def asked(tasks: Sequence[str]) -> Iterator[tuple[int, Question]]:
    for task in tasks:
        for index in range(QUESTIONS_PER_TASK):
            yield index, Question(task, DEPTHS[index % len(DEPTHS)], "?", "1")


def test_a_length_is_asked_about_until_it_is_decided_and_never_beyond_the_most() -> None:
    part = scored(3, lambda task, length: {1024: 1.0, 2048: 1.0, 4096: 0.9}.get(length, 0.0), LENGTHS).part()
    assert part
    assert part.base.texts == 3
    assert [(score.verdict, score.texts) for score in part.longer[:3]] == [
        ("holds", 1),
        ("unresolved", 3),
        ("fails", 1),
    ]
    limit = effective_limit(part)
    assert (limit.tokens, limit.fails_at, limit.at_least) == (2048, 8192, False)
    assert "undecided at 4,096" in limit.why


def test_lengths_beyond_the_first_that_fails_are_asked_about_once() -> None:
    part = scored(3, lambda task, length: 0.8 if length == 16384 else float(length < 4096), LENGTHS).part()
    assert part
    assert [score.texts for score in part.longer] == [1, 1, 1, 1]


def test_what_a_model_cannot_do_in_a_short_text_is_not_asked_in_longer_ones() -> None:
    part = scored(3, lambda task, length: 0.1 if task == TASKS[2] else 1.0).part()
    assert part
    assert [task.counts for task in part.tasks] == [True, True, False]
    assert {cell.task for cell in part.cells if cell.length > 1024} == set(TASKS[:2])
    limit = effective_limit(part)
    assert (limit.tokens, limit.at_least) == (4096, True)
    assert "two-hop 3 of 30 right, where chance is 10%" in limit.why


def test_a_model_that_can_do_none_of_it_gets_no_number() -> None:
    part = scored(3, lambda task, length: 0.1).part()
    assert part
    assert part.longer == []
    limit = effective_limit(part)
    assert (limit.tokens, limit.at_least) == (None, False)
    assert "not even from a short text does the model answer: retrieval 3 of 30" in limit.why


def test_scores_are_against_the_models_own_short_text() -> None:
    part = scored(10, lambda task, length: 0.8).part()
    assert part
    assert part.base.right == 0.8 * part.base.n
    assert effective_limit(part).tokens == 4096


def test_an_undecided_length_does_not_count_and_is_told_with_the_texts_it_would_take() -> None:
    limit = effective_limit(scored(1, lambda task, length: 0.9).part())
    assert (limit.tokens, limit.at_least) == (1024, True)
    assert "undecided at 2,048: it kept" in limit.why
    assert "--texts 2 would tell" in limit.why
    assert texts_to_resolve((85, 100), (100, 100), 30) is None
