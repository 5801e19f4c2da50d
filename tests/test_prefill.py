"""How many prompt tokens a batch reads, and whose."""

from __future__ import annotations

import random

import pytest

from core.engine.prefill import MAX_STALL, MAX_STEP, MICRO_BATCH, MIN_CHUNK, PrefillPolicy, share

FAST, SLOW = 1600.0, 12.0


@pytest.mark.parametrize(
    ("rate", "num_streams", "budget"),
    [
        (FAST, 0, 1024),  # the batch is full before a second is over
        (800.0, 1, 400),
        (800.0, 0, MICRO_BATCH),  # one and a half passes would be read more slowly
        (FAST, 4, MICRO_BATCH),
        (FAST * 100, 4, MICRO_BATCH),
        (SLOW, 0, MIN_CHUNK),
        (SLOW, 4, MIN_CHUNK),
        (None, 0, MIN_CHUNK),
        (None, 1, MIN_CHUNK),
    ],
)
def test_a_batch_is_bounded_in_time_on_any_host(rate: float | None, num_streams: int, budget: int) -> None:
    assert PrefillPolicy(1024, rate=lambda: rate).budget(num_streams, 100) == budget
    if rate and budget > MIN_CHUNK:
        assert budget / rate <= (MAX_STALL if num_streams else MAX_STEP)


@pytest.mark.parametrize(("longest", "budget"), [(100, 200), (400, 100), (4000, MIN_CHUNK)])
def test_chunks_shrink_as_the_longest_context_grows(longest: int, budget: int) -> None:
    assert PrefillPolicy(200, max_scores=40_000, rate=lambda: FAST).budget(0, longest) == budget


@pytest.mark.parametrize(
    ("pending", "budget", "shares"),
    [
        ([], 100, []),
        ([30], 100, [30]),
        ([500], 100, [100]),
        ([500, 500], 100, [100, 0]),  # alike: in order of arrival
        ([300, 500], 100, [100, 0]),
        ([500, 20], 100, [80, 20]),  # a question passes a document
        ([500, 20, 60], 100, [50, 20, 30]),  # which still gets its half
        ([20, 500, 60], 100, [20, 20, 60]),
        ([500, 20], 1, [1, 0]),
        ([500, 20], 0, [0, 0]),
    ],
)
def test_half_goes_to_the_oldest_prompt_and_the_rest_to_the_shortest(
    pending: list[int], budget: int, shares: list[int]
) -> None:
    assert share(pending, budget) == shares


def test_the_budget_is_used_up_and_no_prompt_gets_more_than_it_needs() -> None:
    rng = random.Random(0)
    for _ in range(500):
        pending = [rng.randint(2, 400) for _ in range(rng.randint(0, 9))]
        budget = rng.randint(0, 1200)
        shares = share(pending, budget)
        assert sum(shares) == min(sum(pending), budget)
        assert all(0 <= got <= wanted for got, wanted in zip(shares, pending, strict=True))
