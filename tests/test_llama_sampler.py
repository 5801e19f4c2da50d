"""What the samplers of llama.cpp make of a request's settings, on a real model."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from core.engine.sequence import Update
from core.runners.text import TextRunner
from core.service import Service

pytestmark = pytest.mark.weights

NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture
def runner(real_service: Service) -> Iterator[TextRunner]:
    with real_service.registry.using("smollm2-135m-instruct") as runner:
        assert isinstance(runner, TextRunner)
        yield runner


def generate(runner: TextRunner, **sampling: Any) -> list[int]:
    updates: SimpleQueue[Update] = SimpleQueue()
    prompt = runner.chat_prompt([{"role": "user", "content": "Tell me a story."}])
    seq = runner.submit(prompt, updates.put, max_tokens=24, ignore_eos=True, **sampling)
    while not updates.get(timeout=60).is_last:
        pass
    return seq.tokens[seq.num_prompt :]


def test_mirostat_follows_its_seed_and_each_version_is_its_own(runner: TextRunner) -> None:
    texts = [tuple(generate(runner, **NEUTRAL, seed=7, mirostat=version)) for version in (1, 1, 2, 2, 0)]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert len(set(texts)) == 3


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_that_wants_no_surprise_is_greedy(runner: TextRunner, version: int) -> None:
    greedy = generate(runner, temperature=0)
    assert generate(runner, **NEUTRAL, mirostat=version, mirostat_tau=0.0, mirostat_eta=0.0) == greedy
    assert generate(runner, temperature=0, mirostat=version) == greedy


def test_typical_p_of_zero_leaves_one_token_to_draw(runner: TextRunner) -> None:
    assert generate(runner, **NEUTRAL, typical_p=0.0, seed=1) == generate(runner, **NEUTRAL, typical_p=0.0, seed=2)
    assert generate(runner, **NEUTRAL, typical_p=1.0, seed=1) != generate(runner, **NEUTRAL, typical_p=1.0, seed=2)


def test_penalties_see_as_many_tokens_as_they_are_told(runner: TextRunner) -> None:
    greedy = generate(runner, temperature=0)
    assert generate(runner, temperature=0, repeat_penalty=1.5, repeat_last_n=0) == greedy
    assert generate(runner, temperature=0, repeat_penalty=1.5, repeat_last_n=-1) != greedy
