"""What stages ask: every kind of prompt, and lengths by a target's own count."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import BenchError
from bench.prompt_spec import Mixed
from bench.scenario import Scenario, read_scenario
from bench.token_fit import fit_tokens
from bench.workload import Prompt, PromptSource, messages


def scenario(tmp_path: Path, prompts: dict[str, Any], api: str = "chat", seed: int = 7) -> Scenario:
    content = {
        "schema": "bench.scenario/1",
        "name": "tiny",
        "model": "m",
        "targets": [{"name": "a", "kind": "url", "url": "http://127.0.0.1:1/v1"}],
        "workload": {"api": api, "sampling": {"seed": seed}},
        "load": [{"name": "one", "concurrency": 1, "requests": 2, "prompts": prompts}],
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return read_scenario(tmp_path / "tiny.yaml")


def asked(wanted: Scenario, *, run: str = "x", part: str = "round 0", count: int = 20) -> list[Prompt]:
    return PromptSource(wanted, run).prompts(wanted.load[0], part=part, count=count)


def texts(prompts: list[Prompt]) -> list[str]:
    return [prompt for prompt in prompts if isinstance(prompt, str)]


UNIQUE = {"isl": 30, "osl": 4}


def test_prompts_are_the_same_for_every_target_and_their_heads_never_repeat(tmp_path: Path) -> None:
    wanted = scenario(tmp_path, UNIQUE)
    parts = [texts(asked(wanted, run=run, part=part)) for run in "xy" for part in ("round 0", "round 1")]
    assert parts[0] == asked(wanted)
    heads = [prompt[:8] for part in parts for prompt in part]
    assert len(set(heads)) == len(heads) == 80


def test_the_text_of_prompts_depends_on_the_seed_alone(tmp_path: Path) -> None:
    one, other = (texts(asked(scenario(tmp_path, UNIQUE), run=run)) for run in "xy")
    assert [prompt[8:] for prompt in one] == [prompt[8:] for prompt in other]
    assert [prompt[8:] for prompt in texts(asked(scenario(tmp_path, UNIQUE, seed=8)))] != [p[8:] for p in one]


def test_a_shared_document_is_the_same_in_all_rounds_of_a_run_and_only_there(tmp_path: Path) -> None:
    wanted = scenario(tmp_path, {"kind": "shared-document", "cache": "warm", "isl": 200, "osl": 4})
    prompts = texts(asked(wanted) + asked(wanted, part="round 1"))
    documents, questions = zip(*(prompt.split("\n\n") for prompt in prompts), strict=True)
    assert len(set(documents)) == 1
    assert len(set(questions)) == len(questions) == 40
    assert texts(asked(wanted, run="y"))[0].split("\n\n")[0] != documents[0]


def test_a_mix_asks_the_stated_share_about_one_document_and_the_rest_about_texts_of_their_own(tmp_path: Path) -> None:
    wanted = scenario(tmp_path, {"kind": "shared-document", "cache": {"warm": 0.7}, "isl": 200, "osl": 4})
    prompts = texts(asked(wanted, count=200) + asked(wanted, part="round 1", count=200))
    about_one = [prompt for prompt in prompts if "\n\n" in prompt]
    assert len({prompt.split("\n\n")[0] for prompt in about_one}) == 1
    assert len(about_one) / 400 == pytest.approx(0.7, abs=0.01)
    assert len({prompt[:8] for prompt in prompts}) == 400 - len(about_one) + 1
    assert about_one[0] == prompts[0], "so that a warm-up fills the cache"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_mix_is_even_for_every_client_and_in_every_part_of_a_round(share: float) -> None:
    warm = [Mixed(warm=share).is_warm(index) for index in range(600)]
    for clients in (1, 2, 3, 8):
        for client in range(clients):
            assert sum(warm[client::clients]) / (600 / clients) == pytest.approx(share, abs=0.05)
    for start in range(0, 600, 50):
        assert sum(warm[start : start + 50]) / 50 == pytest.approx(share, abs=0.06)


def test_a_quote_asks_for_a_text_that_is_in_the_prompt(tmp_path: Path) -> None:
    prompts = texts(asked(scenario(tmp_path, {"kind": "quote", "isl": 60, "osl": 40})))
    assert all("word for word" in prompt.split("\n\n")[0] for prompt in prompts)
    assert len({prompt.split("\n\n")[1] for prompt in prompts}) == len(prompts)


def test_embeddings_are_asked_in_batches_of_texts_that_never_repeat(tmp_path: Path) -> None:
    prompts = asked(scenario(tmp_path, {"isl": 20, "batch": 3}, api="embeddings"), count=4)
    assert [len(prompt) for prompt in prompts] == [3, 3, 3, 3]
    assert len({str(text) for prompt in prompts for text in prompt}) == 12


CONVERSATIONS = [
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    [{"role": "user", "content": "Name a river."}],
]


def file_scenario(tmp_path: Path, cache: str) -> Scenario:
    lines = "".join(json.dumps({"messages": conversation}) + "\n" for conversation in CONVERSATIONS)
    (tmp_path / "asked.jsonl").write_text(lines)
    return scenario(tmp_path, {"kind": "file", "file": "asked.jsonl", "osl": 4, "cache": cache})


def test_conversations_of_a_file_come_in_its_order_and_begin_again(tmp_path: Path) -> None:
    assert asked(file_scenario(tmp_path, "warm"), count=3) == [*CONVERSATIONS, CONVERSATIONS[0]]


def test_meant_cold_each_conversation_gets_a_head_that_no_cache_knows(tmp_path: Path) -> None:
    found = [messages(prompt) for prompt in asked(file_scenario(tmp_path, "cold"), count=4)]
    assert len({conversation[0]["content"] for conversation in found}) == 4
    assert [conversation[0]["content"][10:] for conversation in found] == ["Be brief.", "Name a river."] * 2


def test_another_file_is_another_scenario(tmp_path: Path) -> None:
    wanted = file_scenario(tmp_path, "warm")
    assert wanted.hash == file_scenario(tmp_path, "warm").hash
    (tmp_path / "asked.jsonl").write_text(json.dumps({"messages": CONVERSATIONS[0]}))
    assert read_scenario(tmp_path / "tiny.yaml").hash != wanted.hash


@pytest.mark.parametrize("line", ["{", "[]", '{"messages": []}', '{"messages": [{"role": "user"}]}'])
def test_a_line_that_is_no_conversation_is_told_with_file_and_line(tmp_path: Path, line: str) -> None:
    wanted = file_scenario(tmp_path, "warm")
    with (tmp_path / "asked.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BenchError, match=r"asked\.jsonl:3: is not"):
        asked(wanted)


def test_an_empty_file_of_conversations_is_refused(tmp_path: Path) -> None:
    wanted = file_scenario(tmp_path, "warm")
    (tmp_path / "asked.jsonl").write_text("\n")
    with pytest.raises(BenchError, match="holds no conversation"):
        asked(wanted)


@pytest.mark.parametrize("per_word", [1, 2, 3])
@pytest.mark.parametrize(
    "prompts",
    [
        {"isl": 400, "osl": 4},
        {"kind": "quote", "isl": 400, "osl": 4},
        {"kind": "shared-document", "cache": "warm", "isl": 400, "osl": 4},
    ],
    ids=lambda prompts: prompts.get("kind", "unique"),
)
def test_prompts_have_the_wanted_length_by_the_targets_own_count(
    tmp_path: Path, per_word: int, prompts: dict[str, Any]
) -> None:
    async def count(prompt: str) -> int:
        """A tokenizer of so many tokens for each word, in a chat template of 30."""
        return 30 + (1 if prompt == "x" else per_word * len(prompt.split()))

    fit = asyncio.run(fit_tokens(count, "run"))
    assert fit is not None
    assert fit.template == 30
    wanted = scenario(tmp_path, prompts)
    for prompt in texts(PromptSource(wanted, "x").prompts(wanted.load[0], part="p", count=5, fit=fit)):
        assert per_word * len(prompt.split()) == pytest.approx(400, abs=3 * per_word)


def test_a_target_that_counts_nothing_fits_nothing() -> None:
    async def silent(prompt: str) -> None:
        return None

    assert asyncio.run(fit_tokens(silent, "run")) is None
