from __future__ import annotations

from dataclasses import replace

import pytest

from core.engine.batch import Batch, Chunk
from core.speed import Rate, Speed
from tests.fakes import sequence


def batch(*sizes: int) -> Batch:
    return Batch(tuple(Chunk(sequence(range(size))[0], 0, size, wants_token=True) for size in sizes))


def test_nothing_is_known_before_it_was_measured() -> None:
    speed = Speed()
    assert (speed.prefill, speed.decode) == (None, None)
    assert speed.seconds(100, 50) == pytest.approx(150 / Speed.GUESS)


def test_prompts_and_streams_are_measured_apart_and_a_few_prompt_tokens_count_for_neither() -> None:
    speed = Speed()
    speed.observe(batch(2), 0.1)  # a warm-up: nearly all of its time is reading the weights once
    assert speed.prefill is None
    speed.observe(batch(64, 1), 0.1)
    speed.observe(batch(1, 1), 0.02)
    assert speed.prefill == pytest.approx(650)
    assert speed.decode == pytest.approx(100)
    assert speed.seconds(1300, 50) == pytest.approx(2.5)


def test_an_old_rate_is_no_ground_to_refuse_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    speed = Speed()
    speed.observe(batch(64), 0.1)
    assert speed.fresh_prefill == speed.prefill
    monkeypatch.setattr("core.speed.FRESH", 0.0)
    assert speed.fresh_prefill is None
    assert speed.prefill is not None


def test_a_rate_follows_a_change_of_load_within_about_ten_steps() -> None:
    speed = Speed()
    for _ in range(20):
        speed.observe(batch(1), 0.01)
    for _ in range(10):
        speed.observe(batch(1), 0.1)
    assert speed.decode == pytest.approx(10, rel=0.15)


def test_drafts_make_a_step_longer_and_are_no_measure_of_the_rate_without_them() -> None:
    speed = Speed()
    speed.observe(batch(1), 0.01)
    [chunk] = batch(1).chunks
    drafting = Batch((replace(chunk, draft=(5,) * 8),), slowdown=2.5)
    assert speed.step_seconds(drafting) == pytest.approx(0.025)
    speed.observe(drafting, 0.025)
    assert speed.decode == pytest.approx(100)
    assert speed.prefill is None


def test_what_is_known_beforehand_fades_with_what_is_observed() -> None:
    rate = Rate(prior=1000.0)
    assert rate.is_fresh
    assert rate.per_second == pytest.approx(1000)
    for _ in range(20):
        rate.observe(64, 0.64)
    assert rate.per_second == pytest.approx(100, rel=0.05)
