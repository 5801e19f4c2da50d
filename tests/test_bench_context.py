"""What the limits of a context are computed from: texts, scores, fits, memory, the ladder."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.calibrate.calibration import Calibration
from bench.context.doubts import context_doubts
from bench.context.findings import Findings
from bench.context.haystack import DEPTHS, QUESTIONS_PER_TASK, TASKS, Question, haystack, plain_text
from bench.context.ladder import build_ladder, effective_limit, latency_limit
from bench.context.latency import confirm, fit, latency_part, longest_within, predict, value_at
from bench.context.lengths import Ruler, choose_lengths
from bench.context.memory import MARGIN, Shape, measure_memory
from bench.context.parts import Fit, Limit, LimitName, Timing
from bench.context.scores import Scores
from bench.context.sequential import THRESHOLD, judge, texts_to_resolve
from bench.errors import BenchError
from bench.slo import Slo
from bench.stats import stratified, wilson, wilson_ratio
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

LENGTHS = (1024, 2048, 4096, 8192, 16384)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 0, 0.0, 1.0), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (0, 10, 0, 0.2775)],
)
def test_wilson_is_that_of_the_tables(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("share", [(0, 30), (7, 30), (29, 30), (30, 30)])
@pytest.mark.parametrize("base", [(1, 30), (60, 90), (90, 90)])
def test_a_ratio_lies_where_the_difference_to_that_part_of_the_base_just_reaches_zero(
    share: tuple[int, int], base: tuple[int, int]
) -> None:
    (p, low, high), (p0, low0, high0) = ((k / n, *wilson(k, n)) for k, n in (share, base))
    least, most = wilson_ratio(share, base)
    assert least <= p / p0 <= most
    assert p - least * p0 == pytest.approx(math.hypot(p - low, least * (high0 - p0)))
    assert most * p0 - p == pytest.approx(math.hypot(high - p, most * (p0 - low0)))


def test_strata_that_are_alike_tell_what_one_pool_does_and_others_more() -> None:
    assert stratified([(24, 30)] * 3) == pytest.approx((72, 90))
    assert stratified([(30, 30)] * 3) == pytest.approx((90, 90))
    right, n = stratified([(30, 30), (30, 30), (20, 30)])
    assert right / n == pytest.approx(80 / 90)
    assert 90 < n < 180


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


def test_times_below_the_error_of_the_client_are_refused() -> None:
    part = Findings(Slo(ttft_ms=2000, itl_ms=100), seed=7)
    part.timings = [timing(1000, 20.0, 4.0), timing(1050, 22.0, 4.0), timing(4000, 90.0, 9.0)]
    found = part.part(1.0)

    def severities(**error_ms: float) -> list[str]:
        return [flag.severity for flag in context_doubts(found, Calibration(scripts=[], error_ms=error_ms))]

    assert severities(ttft_ms=1.0, itl_ms=0.1) == []
    assert severities(ttft_ms=3.0, itl_ms=0.1) == ["suspect"], "21 ms of short prompts, not 90 of long ones"
    assert severities(ttft_ms=21.0, itl_ms=5.0) == ["invalid", "invalid"]
    assert list(context_doubts(Findings(Slo(ttft_ms=1, itl_ms=1), seed=7).part(1.0), None)) == []


def test_without_a_limit_between_tokens_only_the_first_one_counts() -> None:
    slo = Slo(ttft_ms=2000)
    assert predict(Fit(coefficients=[0, 1]), Fit(coefficients=[10, 0.01]), slo) == 2000
    found = latency_part([timing(n, n / 10, 1e9) for n in (1000, 2000)], slo, None, [])
    assert found
    assert latency_limit(found).at_least


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
