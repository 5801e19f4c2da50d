"""What a request becomes before the engine sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.engine.draft import MAX_DRAFTED
from core.engine.step_cost import StepCost
from core.errors import ModelUnusable
from core.runners.planning import plan_limits
from tests.fakes import FREE_ROWS, reciter
from tests.serving import LIMITS, FakeService


@pytest.mark.parametrize(("asked", "used"), [(-1, LIMITS.context_size), (10**9, LIMITS.context_size), (7, 7)])
def test_penalties_look_back_no_further_than_the_context(asked: int, used: int) -> None:
    service = FakeService()
    runner = service.runner
    seq = runner.submit(runner.token_prompt([1]), lambda update: None, max_tokens=1, repeat_last_n=asked)
    service.close()
    assert seq.sampling.repeat_last_n == used


@pytest.mark.parametrize(
    ("values", "can_cut", "max_drafted"),
    [
        ({}, True, MAX_DRAFTED),
        ({"prompt_lookup": "on"}, True, MAX_DRAFTED),
        ({"prompt_lookup": "off"}, True, 0),
        ({}, False, 0),  # a recurrent state cannot forget a draft that was wrong
        ({"parameters": {"batch": 8}}, True, 7),
        ({"parameters": {"batch": 1}, "slots": 1}, True, 0),
    ],
)
def test_drafts_are_made_unless_switched_off_or_impossible(
    values: dict[str, Any], can_cut: bool, max_drafted: int
) -> None:
    config = ModelConfig(name="m", root=Path("/nowhere"), **values)
    assert plan_limits(config, model_of(can_cut=can_cut), None).max_drafted == max_drafted


@pytest.mark.parametrize(
    ("values", "max_drafted", "copies"),
    [
        ({"kv": "split"}, MAX_DRAFTED, True),
        ({"kv": "unified"}, MAX_DRAFTED, True),
        (
            {"kv": "unified", "slots": 50, "context_size": 150_000, "flash_attention": "off"},
            14,
            True,
        ),  # of the 64 rows of one pass
        ({"kv": "unified", "slots": 100, "context_size": 150_000, "flash_attention": "off"}, 0, True),
        ({"kv": "split", "swa_full": False}, 0, True),
        ({"kv": "unified", "swa_full": False}, 0, False),
    ],
)
def test_a_window_is_drafted_behind_and_copied_only_where_nothing_of_it_is_lost(
    values: dict[str, Any], max_drafted: int, copies: bool
) -> None:
    config = ModelConfig(name="m", root=Path("/nowhere"), **{"context_size": 512} | values)
    limits = plan_limits(config, model_of(attention_window=16), None)
    assert limits.max_drafted == max_drafted
    assert (limits.min_copy < limits.context_size) == copies


def test_a_batch_without_a_row_for_each_slot_is_refused() -> None:
    """llama.cpp's batch is an array of that length, which nothing keeps from being written beyond."""
    config = ModelConfig(name="m", root=Path("/nowhere"), **{"slots": 3, "parameters": {"batch": 2}})
    with pytest.raises(ModelUnusable, match=r"batch \(2\) is less than slots \(3\)"):
        plan_limits(config, model_of(), None)


def test_a_pool_takes_what_half_of_the_memory_holds() -> None:
    """A cell of this model is a byte."""
    config = ModelConfig(name="m", root=Path("/nowhere"), context_size=1000, slots=4)
    assert plan_limits(config, model_of(), 8000).kv == "split"
    pool = plan_limits(config, model_of(), 7999)
    assert (pool.kv, pool.kv_tokens) == ("unified", 3840)
    assert plan_limits(config, model_of(), 1500).kv_tokens == 1000
    with pytest.raises(ModelUnusable, match="m: a KV cache of 1000 tokens takes 0 MiB"):
        plan_limits(config, model_of(), 900)


def model_of(*, can_cut: bool = True, attention_window: int | None = None) -> Any:
    return SimpleNamespace(
        context_train=512,
        num_heads=9,
        is_offloaded=False,
        can_cut_memory=can_cut,
        attention_window=attention_window,
        kv_cache_bytes=lambda layout: layout.cells,
    )


def test_drafts_are_told_in_the_reply_and_counted_in_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "core.engine.draft.measure_step_cost", lambda *_, unified, **__: StepCost(FREE_ROWS, unified=unified)
    )
    service = FakeService(limits=replace(LIMITS, max_drafted=8))
    service.decoder.model = reciter
    ask = {"model": "fake", "prompt": list(range(1, 21)), "max_tokens": 40}
    [body] = service.open("completions", ask)
    metrics = service.metrics.text().decode()
    service.close()
    drafted, accepted = body["timings"]["draft_n"], body["timings"]["draft_n_accepted"]
    assert 0 < accepted < drafted
    assert f'warmfn_drafted_tokens_total{{model="fake"}} {drafted}.0' in metrics
    assert f'warmfn_accepted_tokens_total{{model="fake"}} {accepted}.0' in metrics
