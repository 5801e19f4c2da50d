"""Limits that the bench measured: held for their weights on their host only, and the user's own words come first."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.limits import Decode, Host, KvForm, MeasuredLimits, Prefill, limits_path, read_limits, this_host
from core.packs.fingerprint import fingerprint
from core.speed import Speed
from tests.small_gguf import write_gguf

HOST = Host(cpu="a processor", cpus=4, cards=(), llama_cpp="1")
KV_FORM = KvForm(cache_type_k="f16", cache_type_v="f16", flash_attention="off")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "m.gguf")


def measured(weights: Path, **values: Any) -> MeasuredLimits:
    known: dict[str, Any] = {
        "measured": "2026-01-01T00:00:00+00:00",
        "host": HOST,
        "model": fingerprint(weights),
        "context_size": 4096,
        "kv": "split",
        "kv_form": KV_FORM,
        "threads": 3,
        "threads_batch": 4,
        "batch": 256,
        "prefill": (Prefill(length=100, tok_s=400.0), Prefill(length=300, tok_s=200.0)),
        "decode": tuple(Decode(batch=b, depth=d, tok_s=b * 5000 / d) for b in (1, 2) for d in (100, 200)),
        "step_seconds": {1: 0.01, 5: 0.03},
    }
    return MeasuredLimits(**known | values)


def test_what_was_written_is_read_again(weights: Path) -> None:
    limits = measured(weights)
    limits.write(limits_path(weights))
    assert read_limits(weights, HOST, KV_FORM) == read_limits(weights, HOST, None) == limits


def test_without_a_file_nothing_is_known_and_nothing_is_said(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_limits(weights, HOST, KV_FORM) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cpu": "another"}, "cpu a processor there, another here"),
        ({"cpus": 2}, "cpus 4 there, 2 here"),
        ({"cards": ("CUDA0",)}, "cards none there, CUDA0 here"),
        ({"llama_cpp": "2"}, "llama_cpp 1 there, 2 here"),
    ],
)
def test_another_host_has_limits_of_its_own(
    weights: Path, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], words: str
) -> None:
    measured(weights).write(limits_path(weights))
    assert read_limits(weights, HOST.model_copy(update=changed), KV_FORM) is None
    assert words in caplog.text
    assert str(limits_path(weights)) in caplog.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cache_type_v": "q8_0"}, "cache_type_v f16 there, q8_0 here"),
        ({"flash_attention": "on"}, "flash_attention off there, on here"),
    ],
)
def test_another_cache_has_limits_of_its_own(
    weights: Path, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], words: str
) -> None:
    measured(weights).write(limits_path(weights))
    assert read_limits(weights, HOST, KV_FORM.model_copy(update=changed)) is None
    assert f"{limits_path(weights)} is ignored: it was measured with another KV cache: {words}" in caplog.text


def test_other_weights_under_the_same_name_are_noticed(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    measured(weights).write(limits_path(weights))
    write_gguf(weights, name="Another model")
    assert read_limits(weights, HOST, KV_FORM) is None
    assert "other weights" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Invalid JSON"),
        ('{"schema": "warmfn.limits/2"}', "schema"),
        ("{}", "measured: Field required"),
        ("\xff", "is ignored"),
    ],
)
def test_a_broken_file_is_named_and_passed_over(
    weights: Path, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    limits_path(weights).write_text(text, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert read_limits(weights, HOST, KV_FORM) is None
    assert words in caplog.text
    assert limits_path(weights).name in caplog.text


def test_the_yaml_wins_over_what_was_measured(weights: Path) -> None:
    limits = measured(weights)

    def filled(**values: Any) -> tuple[int | None, int | None, int | None]:
        config = limits.fill(ModelConfig(name="m", root=weights.parent, **values))
        return config.threads, config.threads_batch, config.parameters.batch

    assert filled() == (3, 4, 256)
    assert filled(threads=1) == (1, 1, 256)
    assert filled(threads_batch=2) == (3, 2, 256)
    assert filled(parameters={"batch": 64}) == (3, 4, 64)


def test_the_usable_context_is_the_default_one(weights: Path) -> None:
    limits = measured(weights, usable_context=3000)

    def context(**values: Any) -> int | None:
        return limits.fill(ModelConfig(name="m", root=weights.parent, **values)).context_size

    assert context() == 3000
    assert context(context_size=2048) == 2048
    assert context(context_size=-1) is None
    assert measured(weights).fill(ModelConfig(name="m", root=weights.parent)).context_size is None


def test_rates_are_pooled_over_what_they_were_measured_at(weights: Path) -> None:
    limits = measured(weights)
    assert limits.prefill_tok_s == pytest.approx(400 / (100 / 400 + 300 / 200))
    assert limits.decode_tok_s == pytest.approx(2 / (1 / 100 + 1 / 50))  # of the largest batch


def test_estimates_start_from_what_was_measured_and_follow_what_is_observed(weights: Path) -> None:
    limits = measured(weights)
    speed = Speed(limits)
    assert speed.fresh_prefill == pytest.approx(limits.prefill_tok_s)
    assert speed.seconds(100, 50) == pytest.approx(100 / limits.prefill_tok_s + 50 / limits.decode_tok_s)


def test_this_host_knows_its_processors() -> None:
    host = this_host(["CUDA0"], "1")
    assert host.cpus >= 1
    assert host.cards == ("CUDA0",)
    assert this_host(["CUDA0"], "1") == host
