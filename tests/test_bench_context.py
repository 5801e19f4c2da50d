"""What the limits of a context are computed from: texts, scores, fits, memory, the ladder."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.context.haystack import DEPTHS, TASKS, Question, haystack, plain_text
from bench.context.ladder import build_ladder, effective_limit, latency_limit
from bench.context.latency import confirm, fit, latency_part, longest_within, predict, value_at
from bench.context.lengths import Ruler, choose_lengths
from bench.context.memory import MARGIN, Shape, measure_memory
from bench.context.parts import Fit, Limit, LimitName, Slo, Timing
from bench.context.scores import THRESHOLD, Scores
from bench.context.sequential import judge, questions_to_resolve
from bench.context.slo import DEFAULT_SLO, parse_slo, slo_words
from bench.errors import BenchError
from bench.stats import wilson
from core.gguf.kv_cache import kv_bytes_per_token
from tests.test_gguf_kv_cache import header

# Texts


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


def test_each_task_asks_on_every_depth_and_the_text_comes_before_the_question() -> None:
    stack = haystack(50, nonce="n", seed="s")
    for task in TASKS:
        blocks = list(stack.blocks(task))
        assert [[question.depth for question in block] for block in blocks] == [list(DEPTHS)] * len(blocks)
    assert all(stack.asking(question).startswith(stack.text) for question in stack.questions)


@pytest.mark.parametrize("text", ["48213", "It is 48,213.", "48.213 coins", "first 1, then 48213"])
def test_a_right_number_counts_however_it_is_written(text: str) -> None:
    assert Question("retrieval", 0, "?", "48213").is_answered_by(text)


@pytest.mark.parametrize("text", ["", "4821", "148213", "I do not know"])
def test_another_number_does_not(text: str) -> None:
    assert not Question("retrieval", 0, "?", "48213").is_answered_by(text)


# Lengths


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


# Scores


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (0, 10, 0, 0.2775)],
)
def test_wilson_is_that_of_the_tables(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


def test_it_takes_22_right_answers_of_22_to_prove_85_percent() -> None:
    assert judge(21, 21, THRESHOLD) == "unresolved"
    assert judge(22, 22, THRESHOLD) == "holds"
    assert judge(0, 3, THRESHOLD) == "fails"
    assert questions_to_resolve(10, 10, THRESHOLD) == 22
    assert questions_to_resolve(85, 100, THRESHOLD) is None


def scored(most: int, share: Callable[[str, int], float], lengths: tuple[int, ...] = (1024, 2048, 4096)) -> Scores:
    """Questions are asked while the scores want them; of each 20, this share is answered rightly."""
    scores = Scores(lengths[0], most)
    for length, task in itertools.product(lengths, TASKS):
        count = 0
        while scores.is_open(task, length):
            for depth in DEPTHS:
                scores.add(length, Question(task, depth, "?", "1"), right=(count * 7) % 20 < 20 * share(task, length))
                count += 1
    return scores


def test_a_task_is_asked_until_it_is_decided_and_never_beyond_the_most() -> None:
    part = scored(60, lambda task, length: 0.0 if length == 4096 else 1.0).part()
    assert part
    for task in part.tasks:
        assert task.base.n == 60
        holds, fails = task.longer
        assert (holds.verdict, holds.n) == ("holds", 25)
        assert (fails.verdict, fails.n) == ("fails", 5)
    assert effective_limit(part).tokens == 2048


def test_what_a_model_cannot_do_in_a_short_text_is_not_asked_in_longer_ones() -> None:
    part = scored(40, lambda task, length: 0.3 if task == TASKS[2] else 1.0).part()
    assert part
    assert part.tasks[2].why_not
    assert part.tasks[2].longer == []
    limit = effective_limit(part)
    assert (limit.tokens, limit.at_least) == (4096, True)
    nothing = effective_limit(scored(40, lambda task, length: 0.1).part())
    assert nothing.tokens is None
    assert "too few to tell" in nothing.why


def test_scores_are_against_the_models_own_short_text() -> None:
    part = scored(60, lambda task, length: 0.8).part()
    assert part
    assert part.tasks[0].threshold == pytest.approx(0.85 * 0.8)
    assert effective_limit(part).tokens == 4096


def test_an_undecided_length_is_told_with_the_questions_it_would_take() -> None:
    part = scored(40, lambda task, length: 1.0 if length == 1024 else 0.9).part()
    limit = effective_limit(part)
    assert limit.tokens == 4096
    assert "unresolved at 2,048 tokens (36/40, --questions" in limit.why


# Latency


def timing(tokens: int, ttft_ms: float, itl_ms: float | None = None) -> Timing:
    return Timing(tokens=tokens, cached=0, ttft_ms=ttft_ms, itl_ms=itl_ms)


def test_the_fit_finds_the_coefficients_it_was_made_from() -> None:
    tokens = [500, 1000, 2000, 4000, 8000]
    found = fit(tokens, [100 + 0.5 * n + 1e-4 * n * n for n in tokens], degree=2)
    assert found
    assert found.coefficients == pytest.approx([100, 0.5, 1e-4])
    assert value_at(found, 1000) == pytest.approx(700)


def test_no_fitted_time_is_negative() -> None:
    found = fit([1000, 2000, 4000, 6000], [1500, 3800, 14000, 50000], degree=2)
    assert found
    assert all(coefficient >= 0 for coefficient in found.coefficients)
    shrinking = fit([1000, 2000], [20.0, 10.0], degree=1)
    assert shrinking
    assert shrinking.coefficients[1] == 0
    assert fit([1000, 1000], [1.0, 2.0], degree=2) is None


def test_the_slo_is_solved_for_the_length() -> None:
    quadratic = Fit(coefficients=[100, 0.5, 1e-4])
    assert value_at(quadratic, longest_within(quadratic, 2000)) == pytest.approx(2000)
    assert longest_within(Fit(coefficients=[100, 0.5]), 600) == 1000
    assert longest_within(Fit(coefficients=[100]), 600) == math.inf
    assert longest_within(quadratic, 50) == 0
    slo = Slo(ttft_ms=2000, itl_ms=20)
    assert predict(quadratic, Fit(coefficients=[10, 0.01]), slo) == 1000
    assert predict(quadratic, None, slo) == longest_within(quadratic, 2000)


def confirmed(predicted: int, ms_per_token: float, longest: int = 8000) -> tuple[int | None, list[Timing]]:
    async def time(tokens: int) -> Timing:
        return timing(tokens, tokens * ms_per_token)

    return asyncio.run(confirm(predicted, Slo(ttft_ms=2000, itl_ms=100), time, longest=longest))


def test_a_right_prediction_is_confirmed_at_once() -> None:
    assert confirmed(1900, 1.0) == (1900, [timing(1900, 1900.0)] * 3)


def test_a_wrong_prediction_is_corrected_by_what_is_measured() -> None:
    too_long, seen = confirmed(4000, 1.0)
    assert too_long
    assert 1700 <= too_long <= 2000
    assert seen[0].tokens == 4000
    too_short, _ = confirmed(500, 1.0)
    assert too_short
    assert 1700 <= too_short <= 2000
    assert confirmed(3000, 1.0, longest=1500)[0] == 1500
    assert confirmed(0, 1e6) == (None, [timing(64, 64e6)] * 3)


def test_latency_binds_only_where_the_longest_prompt_is_too_slow() -> None:
    slo = Slo(ttft_ms=2000, itl_ms=100)
    quick = latency_part([timing(n, n / 10) for n in (1000, 2000, 4000)], slo, None, [])
    assert quick
    assert quick.predicted is None
    assert latency_limit(quick) == Limit(tokens=4000, at_least=True, why=latency_limit(quick).why)
    slow = latency_part([timing(n, n * 1.0) for n in (1000, 2000, 4000)], slo, 1990, [timing(1990, 1990)] * 3)
    assert slow
    assert slow.predicted == pytest.approx(2000, abs=1)
    assert latency_limit(slow).tokens == 1990


@pytest.mark.parametrize("text", ["ttft=2", "2s", "ttft=2s;itl=1s", "e2e=2s", ""])
def test_an_slo_that_cannot_be_read_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(BenchError, match=r"write ttft=2s or itl=100ms"):
        parse_slo(text)


def test_an_slo_names_what_differs_from_the_default() -> None:
    assert parse_slo("ttft=1.5min") == Slo(ttft_ms=90_000, itl_ms=DEFAULT_SLO.itl_ms)
    assert parse_slo("ttft=2s,itl=50ms") == Slo(ttft_ms=2000, itl_ms=50)
    assert parse_slo(slo_words(DEFAULT_SLO)) == DEFAULT_SLO


# Memory

MIB = 2**20
SMOLLM2 = Shape(header(), slots=2, holders=2, unified=True, flash_attention=True)


def remembered(budget: int, wanted: list[int], held: Callable[[int], int]) -> tuple[list[int], int, int]:
    """(contexts that were loaded, tokens, tokens for each slot)."""
    loaded = []

    async def probe(context: int) -> int:
        loaded.append(context)
        return held(context)

    part = asyncio.run(measure_memory(SMOLLM2, budget, wanted, probe))
    return loaded, part.tokens, part.tokens_each_slot


def exact(context: int) -> int:
    return 100 * MIB + SMOLLM2.bytes_at(context)


def test_the_longest_context_fills_the_budget_less_the_margin() -> None:
    budget = 1000 * MIB
    loaded, tokens, each = remembered(budget, [8192, 65536], exact)
    assert exact(tokens) <= budget * (1 - MARGIN) < exact(tokens + 256)
    assert loaded == [256, 8192, tokens], "it is verified, and nothing that is predicted not to fit is loaded"
    assert each == pytest.approx(tokens / 2, abs=256)


def test_a_limit_beyond_what_is_wanted_is_not_loaded() -> None:
    loaded, tokens, _ = remembered(10_000 * MIB, [8192], exact)
    assert loaded == [256, 8192]
    assert tokens > 100_000


def test_a_context_that_holds_more_than_predicted_is_stepped_down_from() -> None:
    def greedy(context: int) -> int:
        return exact(context) + (200 * MIB if context > 20_000 else 0)

    budget = 1000 * MIB
    loaded, tokens, _ = remembered(budget, [65536], greedy)
    assert tokens == loaded[-1] < loaded[1]
    assert greedy(tokens) <= budget * (1 - MARGIN)


def test_a_context_that_does_not_load_is_kept_with_the_reason() -> None:
    async def probe(context: int) -> int:
        if context > 256:
            raise BenchError("killed")
        return exact(context)

    part = asyncio.run(measure_memory(SMOLLM2, 1000 * MIB, [65536], probe))
    assert part.tokens == 0
    assert {point.error for point in part.points} == {"killed"}


def test_a_cache_for_each_slot_holds_all_slots_for_one_request() -> None:
    split = Shape(header(), slots=4, holders=0, unified=False, flash_attention=True)
    pool = Shape(header(), slots=4, holders=0, unified=True, flash_attention=True)
    assert split.bytes_at(4096) == split.bytes_at(4096, requests=4)
    of_others = 3 * 4096 * kv_bytes_per_token(header())
    assert split.bytes_at(4096) - pool.bytes_at(4096) == of_others
    small, half = (replace(pool, key_type=name, value_type=name) for name in ("Q4_0", "Q8_0"))
    assert small.bytes_at(4096) < half.bytes_at(4096) < pool.bytes_at(4096)


def test_the_cache_of_the_yaml_comes_first_and_others_as_far_as_the_model_can_have_them() -> None:
    def curves(**facts: Any) -> list[tuple[str, int]]:
        shape = replace(SMOLLM2, **facts)
        part = asyncio.run(measure_memory(shape, 1000 * MIB, [512], _of(shape)))
        return [(curve.cache_type, curve.bytes_per_token) for curve in part.curves]

    f16, q8_0, q4_0 = ("F16", 23040), ("Q8_0", 12240), ("Q4_0", 6480)
    assert curves() == [f16, q8_0, q4_0]
    assert curves(value_type="Q4_0") == [("F16 and Q4_0", (f16[1] + q4_0[1]) // 2), f16, q8_0, q4_0]
    of_phi = header(attention__key_length=80, attention__value_length=80, attention__head_count_kv=32)
    assert [name for name, _ in curves(header=of_phi)] == ["F16"], "its heads are no whole blocks"


def _of(shape: Shape) -> Callable[[int], Any]:
    async def probe(context: int) -> int:
        return shape.bytes_at(context)

    return probe


# The ladder


def ladder(tried: int | None = 8000, **tokens: int | None) -> tuple[LimitName | None, int | None]:
    """`NAME_at_least` is a limit that was not met."""
    limits: dict[LimitName, Limit] = {
        "advertised": Limit(tokens=None, why=""),
        "configured": Limit(tokens=None, why=""),
        "memory": Limit(tokens=None, why=""),
        "latency": Limit(tokens=8000, at_least=True, why=""),
        "effective": Limit(tokens=8000, at_least=True, why=""),
    }
    limits |= {name: Limit(tokens=count, why="") for name, count in tokens.items()}  # type: ignore[misc]
    found = build_ladder(limits, tried)
    return found.binding, found.usable


def test_the_least_limit_binds() -> None:
    assert ladder(advertised=8192, configured=8192, memory=50_000) == ("advertised", 8192)
    assert ladder(advertised=8192, configured=8192, memory=3000) == ("memory", 3000)
    assert ladder(advertised=8192, configured=8192, latency=1500) == ("latency", 1500)
    assert ladder(advertised=8192, configured=8192, effective=2048, latency=4000) == ("effective", 2048)


def test_a_limit_far_beyond_what_was_tried_does_not_bind() -> None:
    assert ladder(tried=2000, configured=8192) == (None, 2000)
    assert ladder(tried=2000, configured=8192, latency=1500) == ("latency", 1500)
    assert ladder(tried=None) == (None, None)


# On real weights


@pytest.mark.weights
def test_memory_is_predicted_to_three_percent_on_real_weights(models_folder: Path) -> None:
    from bench.context.memory import shape_of
    from bench.context.probing import probe_of
    from bench.deployment import read_deployment
    from core.config.folder import read_folder

    name = "smollm2-135m-instruct"
    shape = shape_of(read_folder(models_folder).configs[name])
    probe = probe_of(read_deployment(models_folder, name), unified=True)
    part = asyncio.run(measure_memory(shape, 3 << 30, [4096], probe))
    (point,) = part.points
    assert point.measured_bytes == pytest.approx(point.predicted_bytes, rel=0.03)
