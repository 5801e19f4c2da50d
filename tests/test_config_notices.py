from __future__ import annotations

import pytest

from core.config.notices import notices
from core.config.spelling import misspelt_keys


def test_keys_that_do_nothing_yet_are_named_once_for_each_reason() -> None:
    config = {"lora_adapter": "a", "lora_scale": "0.5", "lora_base": "b", "parameters": {"tfz": "0.5"}}
    said = dict(notices(config))
    assert list(said) == [("lora_adapter",), ("parameters", "tfz")]
    assert said["lora_adapter",].startswith("with lora_scale, lora_base: not built yet")
    assert said["parameters", "tfz"] == "not carried out, llama.cpp has no such sampler: remove it"


@pytest.mark.parametrize(
    "config",
    [
        {"mmproj": "", "draft_model": "", "n_draft": "0", "prompt_cache_all": "false", "main_gpu": "0"},
        {"parameters": {"tfz": "1", "n_keep": "0", "n": "1"}, "cache_type_k": "f16", "function": {}},
        {"f16": "true", "description": "x", "usage": "x", "feature_flags": {"usage": "true"}},
        {"known_usecases": ["chat", "FLAG_COMPLETION", "embeddings"], "options": ["parallel:2", "swa_full:true"]},
        {"cache_type_k": "q8_0", "rope_scaling": "yarn", "yarn_ext_factor": "1", "swa_full": "false"},
        {"roles": {"user": "x"}, "system_prompt": "x", "template": {"chat": "x", "reply_prefix": "x"}},
        {"cutstrings": ["x"], "trimspace": ["x"], "mirostat": "2", "parameters": {"typical_p": "0.5", "echo": "true"}},
    ],
)
def test_nothing_is_said_of_what_is_carried_out_or_counts_anyway(config: dict[str, object]) -> None:
    assert list(notices(config)) == []


def test_what_is_not_served_is_named_in_lists_too() -> None:
    config = {"known_usecases": ["chat", "FLAG_VISION", "tts"], "options": ["parallel:2", "cache_reuse:256"]}
    said = dict(notices(config))
    assert said["known_usecases",].startswith("FLAG_VISION, tts: not served")
    assert said["options",].startswith("cache_reuse:256: not carried out")


@pytest.mark.parametrize(
    ("config", "key", "meant"),
    [
        ({"cutwords": "x"}, "cutwords", "`cutstrings`"),
        ({"stop_words": "x"}, "stop_words", "`stopwords`"),
        ({"contextsize": "x"}, "contextsize", "`context_size`"),
        ({"contextSize": "x"}, "contextSize", "`context_size`"),
        ({"systemPrompt": "x"}, "systemPrompt", "`system_prompt`"),
        ({"temperature": "x"}, "temperature", "`temperature` below `parameters`"),
        ({"parameters": {"context_size": "x"}}, "parameters.context_size", "`context_size` at the top level"),
        ({"parameters": {"mirostat": "2"}}, "parameters.mirostat", "`mirostat` at the top level"),
        ({"parameters": {"temprature": "x"}}, "parameters.temprature", "`temperature`"),
        ({"template": {"chatmessage": "x"}}, "template.chatmessage", "`chat_message`"),
    ],
)
def test_a_misspelt_or_misplaced_key_gets_the_right_one(config: dict[str, object], key: str, meant: str) -> None:
    [(path, message)] = misspelt_keys(config)
    assert ".".join(map(str, path)) == key
    assert message.endswith(f"did you mean {meant}?")


def test_keys_that_only_describe_and_strange_ones_are_left_alone() -> None:
    assert list(misspelt_keys({"license": "x", "urls": [], "description": "x", "zzz": "x", "icon": "x"})) == []
