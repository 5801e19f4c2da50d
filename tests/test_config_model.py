from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.config.model import ModelConfig, Parameters
from core.config.scalars import to_bool, to_int
from core.gguf.kv_cache import CACHE_TYPES


def config(**values: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": Path("models"), **values})


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("40", 40), ("40.0", 40), ("0.9", 0), ("-1", -1), ("+7", 7), ("0", 0), ("1e3", 1000), ("4_096", 4096)],
        *[("0x10", 16), ("-0x10", -16), ("0b11", 3), ("0o10", 8), ("010", 8), ("09", 9)],
    ],
)
def test_whole_numbers_follow_go(text: str, number: int) -> None:
    assert to_int(text) == number


@pytest.mark.parametrize("text", ["abc", "", "true", ".inf", "nan", "0x", "1e999", "9" * 5000])
def test_what_is_no_whole_number_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        to_int(text)


def test_truth_is_spelled_as_in_yaml_and_never_a_digit() -> None:
    assert [to_bool(word) for word in ("true", "Yes", "ON", "y", "false", "no", "Off", "n")] == [True] * 4 + [False] * 4
    with pytest.raises(ValueError, match="neither true nor false"):
        to_bool("1")


def test_typed_values_pass_through() -> None:
    built = config(parameters=Parameters(temperature=0.5, top_k=3), f16=True, slots=2)
    assert (built.parameters.temperature, built.parameters.top_k, built.f16, built.slots) == (0.5, 3, True, 2)


@pytest.mark.parametrize("text", ["0", "-1"])
def test_counts_of_zero_and_minus_one_are_not_set(text: str) -> None:
    read = config(context_size=text, threads=text, parameters={"max_tokens": text, "batch": text})
    assert read.context_size is read.threads is read.parameters.max_tokens is read.parameters.batch is None


def test_an_explicit_zero_temperature_is_set() -> None:
    assert config(parameters={"temperature": "0"}).parameters.temperature == 0
    assert config().parameters.temperature is None


def test_top_p_above_one_means_off() -> None:
    assert config(parameters={"top_p": "80"}).parameters.top_p == 1


def test_a_seed_of_minus_one_and_a_penalty_of_zero_are_not_set() -> None:
    parameters = config(parameters={"seed": "-1", "repeat_penalty": "0"}).parameters
    assert parameters.seed is parameters.repeat_penalty is None


@pytest.mark.parametrize(
    ("text", "setting"),
    [("auto", "auto"), ("on", "on"), ("off", "off"), ("true", "on"), ("No", "off"), (True, "on"), (False, "off")],
)
def test_flash_attention_is_a_word_or_a_boolean(text: str | bool, setting: str) -> None:
    assert config(flash_attention=text).flash_attention == setting


def test_the_cache_has_the_types_of_llama_cpp() -> None:
    for name in CACHE_TYPES:
        assert config(cache_type_k=name, cache_type_v=name.lower()).cache_types == (name, name)
    assert config(cache_type_k="", cache_type_v=None).cache_types == config().cache_types == ("F16", "F16")
    with pytest.raises(ValidationError, match="'q8_0'"):
        config(cache_type_k="q8")


def test_values_that_only_flash_attention_reads_are_refused_without_it() -> None:
    assert config(cache_type_v="q8_0").cache_types == ("F16", "Q8_0")
    assert config(cache_type_v="bf16", cache_type_k="q4_0", flash_attention="off").cache_types == ("Q4_0", "BF16")
    with pytest.raises(ValidationError, match="q5_1 needs flash attention, and flash_attention is off: leave that out"):
        config(cache_type_v="q5_1", flash_attention="off")


def test_rope_scaling_is_a_word_and_factors_of_zero_or_less_are_not_set() -> None:
    read = config(rope_scaling="YaRN", yarn_ext_factor="-1", yarn_attn_factor="0", yarn_beta_fast="32", yarn_orig_ctx=0)
    assert (read.rope_scaling, read.yarn_beta_fast) == ("yarn", 32)
    assert read.yarn_ext_factor is read.yarn_attn_factor is read.yarn_orig_ctx is config(rope_scaling="").rope_scaling
    with pytest.raises(ValidationError, match="'none', 'linear' or 'yarn'"):
        config(rope_scaling="ntk")


@pytest.mark.parametrize(
    ("word", "setting"), [("true", True), ("1", True), ("enabled", True), ("0", False), ("no", False)]
)
def test_swa_full_is_a_key_or_one_of_the_options(word: str, setting: bool) -> None:
    assert config(swa_full=word).swa_full is config(options=[f"swa_full:{word}"]).swa_full is setting
    assert config(options=[f"swa_full:{word}", "parallel:3"], swa_full=not setting).swa_full is not setting
    assert config(options=["parallel:3"]).swa_full is None


@pytest.mark.parametrize(("text", "setting"), [("off", False), ("false", False), ("on", True), (False, False)])
def test_prompt_lookup_is_switched_off_by_a_word_or_a_boolean(text: str | bool, setting: bool) -> None:
    assert config(prompt_lookup=text).prompt_lookup is setting


def test_parallel_in_options_sets_slots_unless_slots_are_given() -> None:
    assert config(options=["use_jinja:true", "parallel:4"]).slots == 4
    assert config(options=["parallel:4"], slots="2").slots == 2
    assert config(options=["use_jinja:true"]).slots is None


@pytest.mark.parametrize(
    "values",
    [{"slots": "0"}, {"slots": "257"}, {"context_size": "-5"}, {"threads": "9999999999"}, {"options": ["parallel:x"]}]
    + [{"parameters": {key: value}} for key, value in [("temperature", "-1"), ("top_p", "-1"), ("min_p", "2")]]
    + [{"flash_attention": "maybe"}, {"slots": "200", "holders": "57"}],
)
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**values)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        config().slots = 3  # type: ignore[misc]


def test_a_context_of_minus_one_or_none_at_all_in_v28_is_the_trained_window() -> None:
    assert config(context_size="-1").wants_trained_context
    assert config(defaults="v2.8").wants_trained_context
    assert not config(defaults="v2.8", context_size="512").wants_trained_context
    assert not config(context_size="0").wants_trained_context


def test_every_key_of_localai_for_texts_and_vectors_has_a_type() -> None:
    read = config(
        roles={"user": "USER:"},
        trimsuffix="\n",
        mirostat="2",
        mirostat_tau="5.0",
        prompt_cache_all="true",
        yarn_ext_factor="1.0",
        tensor_split="1,2",
        function={"disable_no_action": "true", "grammar": {"parallel_calls": "yes"}, "json_regex_match": ["(?s)x"]},
        download_files=[{"filename": "x.gguf", "uri": "huggingface://a/b/x.gguf", "sha256": "00"}],
        feature_flags={"usage": "true"},
        parameters={"typical_p": "0.9", "repeat_last_n": "64", "rope_freq_base": "0", "echo": "on", "ignore_eos": "no"},
    )
    assert (read.mirostat, read.mirostat_tau, read.trimsuffix) == (2, 5.0, ("\n",))
    assert (read.function.disable_no_action, read.function.grammar.parallel_calls) == (True, True)
    assert (read.parameters.typical_p, read.parameters.repeat_last_n) == (0.9, 64)
    assert (read.parameters.rope_freq_base, read.parameters.echo, read.parameters.ignore_eos) == (None, True, False)
    assert read.feature_flags == {"usage": True}


@pytest.mark.parametrize("values", [{"mmproj": "../x"}, {"download_files": [{"filename": "/etc/x"}]}])
def test_names_of_files_outside_the_folder_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="not a path inside the models folder"):
        config(**values)


@pytest.mark.parametrize(
    "values", [{"threads": "1025"}, {"threads_batch": "100000"}, {"parameters": {"batch": "2147483647"}}]
)
def test_sizes_that_would_end_the_process_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="less than or equal to"):
        config(**values)
