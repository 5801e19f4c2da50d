"""How long a prompt may be to be answered in time: fitted, predicted, confirmed."""

from __future__ import annotations

import asyncio
import math

import pytest

from bench.calibrate.calibration import Calibration
from bench.context.doubts import context_doubts
from bench.context.findings import Findings
from bench.context.ladder import latency_limit
from bench.context.latency import confirm, fit, latency_part, longest_within, predict, value_at
from bench.context.parts import Fit, Limit, Timing
from bench.slo import Slo


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
