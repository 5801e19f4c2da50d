"""Prefixes on llama.cpp itself, with small random models: caches that slide, and memories that are one state."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.engine.sequence import Sequence, Update
from core.llama.context import LlamaContext
from core.packer import make_packs
from core.packs.folder import Pack
from core.runners.text import TextRunner
from core.runners.text_llama import load
from tests.random_gguf import WINDOW, write_recurrent, write_windowed

TEXT = "the-quick-brown-fox-jumps-over-the-lazy-dog." * 4


@pytest.fixture(params=["split", "unified"])
def kv(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def config(folder: Path, **values: Any) -> ModelConfig:
    known = {"name": "m", "root": folder, "parameters": {"model": "w.gguf"}, "slots": 2}
    return ModelConfig.model_validate(known | values)


def ask(runner: TextRunner, text: str) -> tuple[list[int], int]:
    """The tokens of a greedy answer, and how many of the prompt's came from the cache."""
    updates: SimpleQueue[Update] = SimpleQueue()
    prompt = runner.completion_prompt(text)
    seq: Sequence = runner.submit(prompt, updates.put, max_tokens=6, temperature=0, ignore_eos=True)
    while not updates.get(timeout=30).is_last:
        pass
    return seq.tokens[seq.num_prompt :], seq.num_cached


@pytest.fixture
def windowed(tmp_path: Path, kv: str) -> Iterator[TextRunner]:
    write_windowed(tmp_path / "w.gguf")
    runner = load(config(tmp_path, kv=kv))
    yield runner
    runner.close()


def test_a_prefix_behind_a_sliding_window_gives_what_a_fresh_one_gives(windowed: TextRunner) -> None:
    questions = ["where?", "when-does-it-end?"]
    fresh = [ask(windowed, f"{number}{TEXT}{question}") for number, question in enumerate(questions)]
    assert all(cached <= 1 for _, cached in fresh)
    again = [ask(windowed, f"{number}{TEXT}{question}") for number, question in enumerate(questions)]
    assert [tokens for tokens, _ in again] == [tokens for tokens, _ in fresh]
    assert all(cached > len(TEXT) for _, cached in again)


def test_a_pack_behind_a_sliding_window_is_used_whole_or_not_at_all(tmp_path: Path, kv: str) -> None:
    write_windowed(tmp_path / "w.gguf")
    own = config(tmp_path, kv=kv, prefixes=[TEXT])
    fresh = load(config(tmp_path, kv=kv, prompt_cache_path="none"))
    [made] = make_packs(own)
    assert len(made.pack.tokens) == 1 + len(TEXT)
    packed = load(own)
    packed.warm()
    for text, is_whole in ((f"{TEXT}?!", True), (TEXT[:-3], False)):
        tokens, cached = ask(packed, text)
        assert tokens == ask(fresh, text)[0]
        assert cached == 1 + len(TEXT) if is_whole else cached <= 1, "of BOS alone all is there"
    fresh.close()
    packed.close()


def test_only_the_window_of_an_old_prefix_is_there_after_a_restore(tmp_path: Path, kv: str) -> None:
    write_windowed(tmp_path / "w.gguf")
    own = config(tmp_path, kv=kv, prefixes=[TEXT])
    [made] = make_packs(own)
    runner = load(own)
    context = runner._context
    assert isinstance(context, LlamaContext)
    assert runner.engine.call(lambda: context.restore(1, made.pack)).result(5)
    assert runner.engine.call(lambda: context.first(1)).result(5) == len(made.pack.tokens) - WINDOW
    runner.close()


def test_a_memory_of_one_state_is_computed_anew_each_time(
    tmp_path: Path, kv: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_recurrent(tmp_path / "w.gguf")
    runner = load(config(tmp_path, kv=kv, prefixes=[TEXT]))
    assert runner.packs is None
    assert "m: no prefixes are kept: the memory of this model is one state" in caplog.text
    found = [ask(runner, TEXT[:40]) for _ in range(3)]
    assert {cached for _, cached in found} == {0}
    assert len({tuple(tokens) for tokens, _ in found}) == 1
    assert ask(runner, TEXT[:30])[1] == 0
    runner.close()
    with pytest.raises(Exception, match=r"prefixes: they cannot be kept: the memory of this model is one state"):
        list(make_packs(config(tmp_path, kv=kv, prefixes=[TEXT])))


def test_cells_that_llama_cpp_does_not_take_leave_nothing_behind(
    tmp_path: Path, kv: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "warmfn.llama")
    write_windowed(tmp_path / "w.gguf")
    own = config(tmp_path, kv=kv, prefixes=[TEXT])
    [made] = make_packs(own)
    runner = load(own)
    context = runner._context
    assert isinstance(context, LlamaContext)

    class Foreign(Pack):
        def read(self) -> bytearray | None:
            state = super().read()
            return state and state[:-100]

    foreign = Foreign(made.pack.path, made.pack.header)
    assert not runner.engine.call(lambda: context.restore(0, foreign)).result(5)
    assert runner.engine.call(lambda: context.first(0)).result(5) == -1
    assert ask(runner, TEXT)[1] == 0
    runner.close()
