"""What the report's numbers stand on."""

from __future__ import annotations

import math

import pytest

from bench.stats import describe, median_or_none, percentile, ratio, required_samples, stratified, wilson, wilson_ratio


@pytest.mark.parametrize(("p", "n"), [(90, 44), (95, 90), (99, 459)])
def test_a_percentile_needs_as_many_samples_as_mlperf_asks(p: int, n: int) -> None:
    assert required_samples(p) == n


def test_an_unsupported_percentile_is_none_and_not_a_guess() -> None:
    few, enough = describe([float(i) for i in range(89)]), describe([float(i) for i in range(90)])
    assert few is not None
    assert enough is not None
    assert (few.p95, few.p_supported) == (None, 90)
    assert enough.p95 == pytest.approx(84.55)
    assert (enough.p99, enough.p_supported) == (None, 95)


def test_percentiles_interpolate_between_ranks() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([5.0], 99) == 5.0
    assert percentile([0.0, 10.0], 100) == 10.0


def test_nothing_measured_is_none() -> None:
    assert describe([]) is None
    assert median_or_none([None, None]) is None
    assert median_or_none([None, 3.0, 1.0]) == 2.0
    assert ratio(1.0, None) is None
    assert ratio(1.0, 0.0) is None


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (95, 100, 0.8882, 0.9785),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_bounds_are_the_published_ones(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


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
