"""Prefixes on llama.cpp itself, with small random models: caches that slide, and memories that are one state."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.engine.sequence import Sequence, Update
from core.engine.step_cost import StepCost
from core.llama.context import LlamaContext
from core.packer import make_packs
from core.packs.folder import Pack
from core.runners.text import TextRunner
from core.runners.text_llama import load
from tests.fakes import FREE_ROWS
from tests.random_gguf import WINDOW, write_recurrent, write_windowed

TEXT = "the-quick-brown-fox-jumps-over-the-lazy-dog." * 4
LONG = TEXT * 4
SMALL: dict[str, Any] = {
    "context_size": 2048,
    "slots": 4,
    "swa_full": False,
    "parameters": {"model": "w.gguf", "batch": 64},
}
"""A window that keeps 256 of LONG's 704 tokens, 384 where four share a pool."""


@pytest.fixture(params=["split", "unified"])
def kv(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def config(folder: Path, **values: Any) -> ModelConfig:
    known = {"name": "m", "root": folder, "parameters": {"model": "w.gguf"}, "slots": 2}
    return ModelConfig.model_validate(known | values)


def answered(runner: TextRunner, text: str, max_tokens: int = 6) -> Sequence:
    """A greedy answer."""
    updates: SimpleQueue[Update] = SimpleQueue()
    prompt = runner.completion_prompt(text)
    seq: Sequence = runner.submit(prompt, updates.put, max_tokens=max_tokens, temperature=0, ignore_eos=True)
    while not (update := updates.get(timeout=30)).is_last:
        pass
    assert not update.error
    return seq


def ask(runner: TextRunner, text: str, max_tokens: int = 6) -> tuple[list[int], int]:
    """The tokens of an answer, and how many of the prompt's came from the cache."""
    seq = answered(runner, text, max_tokens)
    return seq.tokens[seq.num_prompt :], seq.num_cached


@pytest.fixture(params=[{}, SMALL], ids=["full", "small"])
def windowed(request: pytest.FixtureRequest, tmp_path: Path, kv: str) -> Iterator[TextRunner]:
    write_windowed(tmp_path / "w.gguf")
    runner = load(config(tmp_path, kv=kv, **request.param))
    yield runner
    runner.close()


def test_a_prefix_behind_a_sliding_window_gives_what_a_fresh_one_gives(windowed: TextRunner) -> None:
    questions = ["where?", "when-does-it-end?"]
    fresh = [ask(windowed, f"{number}{TEXT}{question}") for number, question in enumerate(questions)]
    assert all(cached <= 1 for _, cached in fresh)
    again = [ask(windowed, f"{number}{TEXT}{question}") for number, question in enumerate(questions)]
    assert [tokens for tokens, _ in again] == [tokens for tokens, _ in fresh]
    assert all(cached > len(TEXT) for _, cached in again)


def test_a_small_window_gives_what_a_full_one_gives_and_is_computed_anew_where_it_is_gone(
    tmp_path: Path, kv: str
) -> None:
    write_windowed(tmp_path / "w.gguf")
    found = []
    for values in ({}, {"swa_full": False}):
        runner = load(config(tmp_path, kv=kv, **SMALL | {"swa_full": True} | values))
        found.append([ask(runner, text) for text in (LONG, f"{LONG}!", LONG[:300], f"{LONG[:300]}?", LONG)])
        runner.close()
    full, small = found
    assert [tokens for tokens, _ in small] == [tokens for tokens, _ in full]
    assert [cached > 1 for _, cached in full] == [False, True, True, True, True]
    assert [cached > 1 for _, cached in small[:4]] == [False, True, False, True], "LONG[:300] has slid out long ago"


def test_many_streams_behind_small_windows_never_run_out_of_cells(tmp_path: Path, kv: str) -> None:
    """llama.cpp takes no cell back that several sequences read: if in a pool they shared all that LONG has left in its
    window, none would be left to compute the next token in."""
    write_windowed(tmp_path / "w.gguf")
    runner = load(config(tmp_path, kv=kv, **SMALL))
    ask(runner, LONG, max_tokens=1)
    texts = [f"{LONG}{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as clients:
        together = [tokens for tokens, _ in clients.map(ask, [runner] * 4, texts, [60] * 4)]
    assert together == [ask(runner, text, max_tokens=60)[0] for text in texts]
    runner.close()


@pytest.mark.parametrize(("values", "drafts"), [({"swa_full": True}, True), ({}, False)])
def test_drafts_behind_a_window_change_nothing_and_are_off_where_it_is_small(
    tmp_path: Path, kv: str, values: dict[str, Any], drafts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "core.engine.draft.measure_step_cost", lambda *_, unified, **__: StepCost(FREE_ROWS, unified=unified)
    )
    write_windowed(tmp_path / "w.gguf")
    found = []
    for lookup in (False, True):
        runner = load(config(tmp_path, kv=kv, prompt_lookup=lookup, **SMALL | values))
        with ThreadPoolExecutor(3) as clients:
            asked = [clients.submit(answered, runner, f"{LONG}{number}", 120) for number in range(3)]
            found.append([seq.result() for seq in asked])
        runner.close()
    plain, drafted = found
    assert [seq.tokens for seq in drafted] == [seq.tokens for seq in plain]
    assert [seq.num_drafted > 20 for seq in drafted] == [drafts] * 3


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
