"""A text model and its packs: what is read back, what is made while serving, and what is wrong with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import current_thread
from typing import Any

import pytest

from core import coldstart
from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.engine.sequence import Sequence, Update
from core.packs.folder import SERVED, Pack, PackFolder
from core.runners import packs
from core.runners.packs import MIN_SERVED
from core.runners.text import TextRunner
from tests.fakes import completion, text_of
from tests.serving import LIMITS, FakeModel, FakeTemplate, SlowDecoder, eventually
from tests.small_gguf import write_gguf

DOCUMENT = "The quick brown fox jumps over the lazy dog and runs away from everybody. " * 5
LAYOUT = {"fake": 1}
LONG = replace(LIMITS, context_size=1000, kv_tokens=4000, max_batch=500)


class Fakes:
    """Runners of one config, each as after a start of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_gguf(folder / "w.gguf")
        self.runners: list[TextRunner] = []

    def config(self, yaml: str) -> ModelConfig:
        (self.folder / "m.yaml").write_text(f"name: m\nparameters: {{model: w.gguf}}\n{yaml}")
        return read_folder(self.folder).configs["m"]

    def cold(self, config: ModelConfig, layout: Any = LAYOUT) -> TextRunner:
        decoder = SlowDecoder(num_cells=LONG.kv_tokens, max_batch=LONG.max_batch)
        runner = TextRunner(config, FakeModel(), decoder, LONG, FakeTemplate(), PackFolder(config, layout))
        self.runners.append(runner)
        return runner

    def start(self, config: ModelConfig, layout: Any = LAYOUT) -> TextRunner:
        runner = self.cold(config, layout)
        runner.warm()
        return runner

    def pack(self, config: ModelConfig) -> None:
        runner = self.cold(config)
        assert runner.packs
        for key, tokens in runner.prefixes().items():
            runner.packs.make(key, tokens)


@pytest.fixture
def fakes(tmp_path: Path):  # type: ignore[no-untyped-def]
    fakes = Fakes(tmp_path)
    yield fakes
    for runner in fakes.runners:
        runner.close()


def ask(runner: TextRunner, question: str, begin: str = "") -> Sequence:
    """A whole request, whose text is checked against the undisturbed model's."""
    prompt = runner.completion_prompt(begin + DOCUMENT + question)
    updates: SimpleQueue[Update] = SimpleQueue()
    seq = runner.submit(prompt, updates.put, max_tokens=3, temperature=0)
    text = ""
    while not (update := updates.get(timeout=5)).is_last:
        text += update.text
    assert text + update.text == text_of(completion(prompt.tokens, 3))
    return seq


def of_packs(runner: TextRunner) -> list[str]:
    """What is wrong with its packs and prefixes."""
    return [problem.message for problem in runner.problems if "pack" in problem.message]


PREFIXES = f'prefixes: ["{DOCUMENT}"]\n'


def test_a_packed_prefix_is_there_for_the_first_request_of_another_process(fakes: Fakes) -> None:
    config = fakes.config(PREFIXES)
    fakes.pack(config)
    runner = fakes.start(config)
    assert of_packs(runner) == []
    first = ask(runner, "1?")
    assert first.num_cached == 1 + len(DOCUMENT)
    assert len(first.prompt) == first.num_cached + len("1?")


def test_what_packs_cost_at_a_start_is_a_phase_of_its_own(fakes: Fakes) -> None:
    config = fakes.config(PREFIXES)
    phases: coldstart.Phases = {}
    with coldstart.recording(phases):
        fakes.start(config)
    assert "pack_restore" in phases


def test_a_damaged_pack_is_named_and_the_prefix_computed(fakes: Fakes, caplog: pytest.LogCaptureFixture) -> None:
    config = fakes.config(PREFIXES)
    fakes.pack(config)
    [path] = PackFolder(config).path.iterdir()
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    runner = fakes.start(config)
    assert f"{path}: this pack is damaged" in caplog.text
    assert ask(runner, "1?").num_cached == 0
    assert ask(runner, "2?").num_cached == 1 + len(DOCUMENT)


MANY = "prefixes:\n" + "".join(f'- "{number}{DOCUMENT}"\n' for number in range(5))
"""One more than there are ids."""


def test_packs_beyond_the_ids_are_compared_by_another_thread_than_the_engines(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fakes.config(MANY)
    fakes.pack(config)
    checked: list[str] = []
    original = Pack.check
    monkeypatch.setattr(Pack, "check", lambda pack: (checked.append(current_thread().name), original(pack))[1])
    runner = fakes.start(config)
    slots = runner.engine._scheduler.slots
    assert eventually(lambda: all(pack.is_ready for pack in slots.stored))
    assert [name.startswith("packs") for name in checked] == [True]
    seq = ask(runner, "?", begin="4")
    assert seq.num_cached == 2 + len(DOCUMENT)


def test_a_damaged_pack_beyond_the_ids_is_named_and_forgotten(fakes: Fakes, caplog: pytest.LogCaptureFixture) -> None:
    config = fakes.config(MANY)
    fakes.pack(config)
    runner = fakes.cold(config)
    path = PackFolder(config).place(list(runner.prefixes().values())[4])
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    runner.warm()
    slots = runner.engine._scheduler.slots
    assert eventually(lambda: len(slots.stored) == 4)
    assert f"{path}: this pack is damaged" in caplog.text
    assert ask(runner, "?", begin="4").num_cached <= 1


@pytest.mark.parametrize("layout", [{"fake": 2}, {"fake": 1, "more": 1}, {}])
def test_a_stale_pack_is_named_and_the_prefix_computed(fakes: Fakes, layout: Any) -> None:
    config = fakes.config(PREFIXES)
    fakes.pack(config)
    runner = fakes.start(config, layout)
    unpacked, stale = of_packs(runner)
    assert "this pack is stale, it was made with" in stale
    assert "not packed: run `warmfn pack m`" in unpacked
    assert ask(runner, "1?").num_cached == 0


def test_a_pack_of_a_prefix_that_is_no_more_is_named_and_left_alone(fakes: Fakes) -> None:
    fakes.pack(fakes.config(PREFIXES))
    runner = fakes.start(fakes.config("prefixes: [Another beginning of prompts]\n"))
    assert any("no prefix makes it any more: remove it" in problem.message for problem in runner.problems)
    assert ask(runner, "1?").num_cached == 0


def test_prefixes_that_cannot_be_packed_are_told_by_their_key(fakes: Fakes) -> None:
    runner = fakes.cold(fakes.config(f'prefixes: ["{DOCUMENT * 3}"]\n'))
    with pytest.raises(Exception, match=r"m\.yaml: prefixes\.0: it has 1111 tokens, and context_size is 1000"):
        runner.prefixes()


def test_edits_that_leave_the_prefixes_as_they_are_need_no_load(fakes: Fakes) -> None:
    chat = "prefixes: [{messages: [{role: system, content: Be brief.}]}]\ntemplate: {chat: '%s{{.Input}}'}\n"
    runner = fakes.start(fakes.config(chat % ""))
    assert runner.adopt(fakes.config((chat % "") + "stopwords: [x]\n"))
    assert not runner.adopt(fakes.config(chat % "Now: "))


RECORDING = "prompt_cache_path: cache\nprompt_cache_all: true\n"


def test_what_prompts_begin_with_again_is_packed_while_nothing_runs(fakes: Fakes, tmp_path: Path) -> None:
    assert len(DOCUMENT) > MIN_SERVED
    config = fakes.config(RECORDING)
    runner = fakes.start(config)
    ask(runner, "1?")
    assert not (tmp_path / "cache").exists(), "once is not again"
    ask(runner, "2?")
    assert eventually(lambda: list((tmp_path / "cache").glob("*.pack")))
    ask(runner, "3?")
    runner.close()
    [pack] = PackFolder(config, LAYOUT).packs()[0]
    assert (pack.header.source, text(pack.tokens)) == (SERVED, DOCUMENT)
    later = fakes.start(config)
    assert of_packs(later) == []
    assert ask(later, "4?").num_cached == len(pack.tokens)


def test_copies_wait_until_the_last_stream_has_ended(fakes: Fakes, tmp_path: Path) -> None:
    runner = fakes.start(fakes.config(RECORDING))
    ask(runner, "1?")
    decoder = fakes.runners[0]._context
    saved: list[int] = []
    original = decoder.save

    def save(seq_id: int) -> bytearray:
        saved.append(runner.engine.num_running)
        return original(seq_id)

    decoder.save = save  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as clients:
        list(clients.map(lambda question: ask(runner, question), ["2?", "3?", "4?", "5?"]))
    assert eventually(lambda: list((tmp_path / "cache").glob("*.pack")))
    assert saved == [0] * len(saved)
    assert saved


@pytest.mark.parametrize("key", ["prompt_cache_ro: true\n", "prompt_cache_all: false\n"])
def test_nothing_is_written_unless_it_is_asked_for(fakes: Fakes, tmp_path: Path, key: str) -> None:
    runner = fakes.start(
        fakes.config("prompt_cache_path: cache\nprompt_cache_all: true\n".replace(key[:17], "#") + key)
    )
    for question in ("1?", "2?", "3?"):
        ask(runner, question)
    runner.close()
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_costs_a_warning_and_no_request(
    fakes: Fakes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = fakes.start(fakes.config(RECORDING))
    (tmp_path / "cache").write_text("in the way")
    for question in ("1?", "2?", "3?", "4?"):
        ask(runner, question)
    assert eventually(lambda: "no pack is made of" in caplog.text)
    runner.close()
    assert caplog.text.count("no pack is made of") == 1


def test_beginnings_that_cannot_be_written_do_not_pile_up(
    fakes: Fakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MAX_COMING", 3)
    runner = fakes.start(fakes.config(RECORDING))
    (tmp_path / "cache").write_text("in the way")
    for topic in range(6):
        for question in ("1?", "2?"):
            ask(runner, question, begin=f"{topic}: ")
    assert runner.packs
    assert len(runner.packs._coming) == 3


def test_a_pack_whose_file_gave_way_to_others_is_forgotten(fakes: Fakes, tmp_path: Path) -> None:
    runner = fakes.start(fakes.config(RECORDING))
    assert runner.packs
    slots = runner.packs._slots
    for topic in "ab":
        for question in ("1?", "2?"):
            ask(runner, question, begin=topic)
        assert eventually(lambda: [text(prefix.tokens)[0] for prefix in slots.stored] == [topic])  # noqa: B023
        [path] = (tmp_path / "cache").glob("*.pack")
        path.unlink()  # as another process does that needs the room


def text(tokens: list[int]) -> str:
    return bytes(token - 1 for token in tokens if token != FakeModel.bos).decode()
