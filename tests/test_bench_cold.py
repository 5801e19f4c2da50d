"""Cold starts of a program of known timing: what is measured, in which order, and what is left when it goes wrong."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.cold.cold_start import cold_start
from bench.cold.doubts import doubts_of, doubts_of_part
from bench.cold.first_request import FirstRequest, first_requests
from bench.cold.imports import read_imports
from bench.cold.measure import METRICS, ColdRun
from bench.cold.page_cache import prepare, share_cached
from bench.cold.phases import FIRST, IMPORTS, PACKS, UNSEEN, WARM_UP, taken_apart, unseen
from bench.cold.result import ColdPart, ColdSeries, ColdStart, PageCache
from bench.cold.variant import Server, Variant, make_variants
from bench.errors import BenchError
from bench.report.contents import report_of
from bench.report.markdown import markdown
from bench.requests_file import read_records
from bench.result import read_result
from bench.sample import HostUse
from bench.session import Session
from bench.stats import describe
from bench.target_spec import TargetSpec
from bench.targets.programs import ServerProgram
from core.config.prefixes import Prefix
from handlers.cli import main
from tests.cold_program import Script
from tests.serving import fake_config

QUIET = HostUse(client=0.1, target=1.0, idle_targets=0.0, neighbours=0.0, steal=0.0)
LEDGER = {"interpreter": 20.0, "imports": 80.0, "asked": 110.0, "warm_up": 60.0, "pack_restore": 10.0, "ready": 200.0}


def variant(script: Script, *, request: FirstRequest | None = None, page_cache: PageCache = "warm") -> Variant:
    command = [sys.executable, "-m", "tests.cold_program"]
    program = ServerProgram(lambda port: [*command, str(port), json.dumps(asdict(script))], ready="/ready")
    spec = TargetSpec(name="ours", kind="ours")
    return Variant(Server("m", spec, program, {}, (Path(__file__),)), page_cache, request or FirstRequest(20))


def started(wanted: Variant, out: Path) -> ColdStart:
    return asyncio.run(cold_start(wanted, 0, "run", out / "log", lambda record: None))


def start(number: int = 0, *, first_ms: float = 300.0, **changes: object) -> ColdStart:
    return ColdStart(
        round=number, cached=1.0, listening_ms=50.0, ready_ms=215.0, sent_ms=220.0, first_ms=first_ms, again_ms=30.0,
        prompt_tokens=49, cached_tokens=0, ledger={**LEDGER, "first_token": 50.0}, host=QUIET,
    ).model_copy(update=changes)  # fmt: skip


def series(*starts: ColdStart, **changes: object) -> ColdSeries:
    metrics = {metric: describe([getattr(one, metric) for one in starts]) for metric in METRICS}
    base = ColdSeries(
        model="m",
        target="ours",
        page_cache="warm",
        prompt="20 tokens",
        prefix=None,
        starts=list(starts),
        metrics=metrics,
    )
    return base.model_copy(update=changes)


def test_each_moment_is_seen_when_it_was_and_not_before(tmp_path: Path) -> None:
    found = started(variant(Script(listens=0.3, ready=0.2, first=0.1)), tmp_path)
    assert found.listening_ms >= 300
    assert found.ready_ms >= found.listening_ms + 150, (
        "it was ready 200 ms after it could be connected to, at the latest"
    )
    assert found.sent_ms >= found.ready_ms
    assert found.first_ms >= found.sent_ms + 100
    assert found.again_ms >= 100
    assert (found.prompt_tokens, found.cached_tokens, found.ledger) == (40, 0, None)


@pytest.mark.parametrize("embeds", [False, True])
def test_the_ledger_comes_with_the_first_reply(tmp_path: Path, embeds: bool) -> None:
    told = {"interpreter_ms": 20.5, "first_vectors_ms" if embeds else "first_token_ms": 3.0}
    found = started(variant(Script(ledger=told), request=FirstRequest(20, embeds)), tmp_path)
    assert found.ledger == {name.removesuffix("_ms"): value for name, value in told.items()}


def test_the_parts_add_up_to_the_first_answer() -> None:
    one = start()
    parts = taken_apart(one)
    assert sum(value or 0 for value in parts.values()) == pytest.approx(one.first_ms)
    assert {name: value for name, value in parts.items() if value} == pytest.approx(
        {IMPORTS: 100, PACKS: 10, WARM_UP: 50, FIRST: 50, UNSEEN: 90}
    )
    lost = unseen(one)
    assert sum(lost.values()) == pytest.approx(90)
    assert (lost["until ready is seen"], lost["around the request"]) == (15, 30)


def test_of_a_server_without_a_ledger_only_its_answer_is_told_apart() -> None:
    parts = taken_apart(start(ledger=None))
    assert {name: value for name, value in parts.items() if value is not None} == {FIRST: 80, UNSEEN: 220}


def test_all_kinds_take_turns_and_each_round_begins_with_another(tmp_path: Path) -> None:
    short, long = (variant(Script(), request=FirstRequest(length)) for length in (20, 40))
    long = Variant(short.server, "warm", long.request)
    told: list[tuple[str, int]] = []
    run = ColdRun([short, long], 2, tmp_path, "run", lambda words, advance: told.append((words, advance)))
    asyncio.run(run.measure())
    assert run.complete
    assert sum(advance for _, advance in told) == run.num_starts == 5, "one rehearsal of the one server"
    records = read_records(tmp_path)
    assert [(r.round, r.stage[-9:], r.index) for r in records] == [
        (number, f"{length} tokens", index)
        for number, length in ((0, 20), (0, 40), (1, 40), (1, 20))
        for index in (0, 1)
    ]
    part = run.part()
    assert [(one.prompt, len(one.starts)) for one in part.series] == [("20 tokens", 2), ("40 tokens", 2)]
    [imports] = part.imports
    assert {"tests", "the standard library"} <= {package.package for package in imports.packages}
    assert imports.total_ms == pytest.approx(sum(package.self_ms for package in imports.packages))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(dies=True), "ours ended with status 7:.*the weights are gone"),
        (Script(dies_when_asked=True), "ours: m, warm page cache, 20 tokens: .*no memory left"),
        (Script(fails=True), "ours cannot load its model:.*pid"),
    ],
)
def test_a_server_that_dies_or_fails_is_told_with_the_end_of_its_log(
    tmp_path: Path, script: Script, words: str
) -> None:
    with pytest.raises(BenchError, match=f"(?s){words}"):
        started(variant(script), tmp_path)


def test_a_run_that_is_stopped_keeps_what_it_has_and_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "ours-m.log"

    async def measure_and_stop() -> ColdPart:
        def on_progress(words: str, advance: int) -> None:
            if words.startswith("round 2"):
                asyncio.get_running_loop().call_later(0.3, task.cancel)

        run = ColdRun([variant(Script(first=0.2))], 3, tmp_path, "run", on_progress)
        task = asyncio.create_task(run.measure())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not run.complete
        return run.part()

    part = asyncio.run(measure_and_stop())
    assert [len(one.starts) for one in part.series] == [1]
    assert [record.ok for record in read_records(tmp_path)[:2]] == [True, True]
    for pid in re.findall(r"pid (\d+)", log.read_text()):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_a_file_is_brought_into_the_page_cache_and_out_of_it_again(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    with file.open("wb") as written:
        written.write(b"x" * (8 * mmap.PAGESIZE + 1))
        written.flush()
        os.fsync(written.fileno())
    prepare([file], "warm")
    assert share_cached([file]) == 1
    prepare([file], "cold")
    if share_cached([file]) == 1:
        pytest.skip("this file system has no other place than the page cache")
    assert share_cached([file]) == 0
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == file.read_bytes()
        prepare([file], "cold")
        share = share_cached([file])
        assert share is not None
        assert share > 0.5, "the kernel drops nothing that is mapped, and that is told"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="none: cannot be read: No such file"):
        prepare([tmp_path / "none"], "warm")


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (series(start()), None),
        (series(start(cached=0.0), page_cache="cold"), None),
        (series(start(cached=0.0), start(cached=0.2), page_cache="cold"), "page_cache"),
        (series(start(cached=0.9)), "page_cache"),
        (series(start(cached=None)), "page_cache_unknown"),
        (series(start(cached_tokens=49, prompt_tokens=90), prefix="known"), None),
        (series(start(cached_tokens=9, prompt_tokens=90), prefix="known"), "not_packed"),
        (series(start(cached_tokens=9, prompt_tokens=90), prefix="new"), None),
        (series(start(host=HostUse(0.1, 1.0, 0.0, 0.5, 0.0))), "neighbours"),
    ],
)
def test_doubts_are_about_the_page_cache_the_pack_and_the_machine(one: ColdSeries, code: str | None) -> None:
    assert [flag.code for flag in doubts_of(one)] == [code] * (code is not None)
    part = ColdPart(rounds=1, series=[one, one.model_copy(update={"prompt": "40 tokens"})], imports=[])
    assert len(list(doubts_of_part(part))) == {None: 0, "neighbours": 1}.get(code, 2)


def test_a_known_prefix_stands_before_the_prompt_and_a_new_one_behind_another_word() -> None:
    messages = [{"role": "system", "content": "Be brief."}]
    chat = fake_config("m", backend="llama-cpp", prefixes=(Prefix.model_validate({"messages": messages}),))
    short, long, known, new = first_requests(chat, [20, 40])
    assert [request.name for request in (short, long, known, new)] == [
        *("20 tokens", "40 tokens", "known prefix", "new prefix"),
    ]
    assert len(str(long.prompt("a")).split()) > len(str(short.prompt("a")).split())
    assert known.prompt("a")[:1] == known.prompt("b")[:1] == messages
    assert known.prompt("a") != known.prompt("b")
    assert new.prompt("a")[0]["content"].endswith(": Be brief.")  # type: ignore[index]
    assert new.prompt("a")[:1] != new.prompt("b")[:1]


def test_a_prefix_of_text_is_completed_and_the_users_own_last_message_goes_on() -> None:
    text = fake_config("m", backend="llama-cpp", prefixes=(Prefix(text="Once upon a time"),))
    known = list(first_requests(text, [20]))[1]
    assert known.workload.api == "completions"
    assert str(known.prompt("a")).startswith("Once upon a time ")
    asked = Prefix.model_validate({"messages": [{"role": "user", "content": "Tell me"}]})
    known = list(first_requests(fake_config("m", backend="llama-cpp", prefixes=(asked,)), [20]))[1]
    [message] = known.prompt("a")
    assert message["content"].startswith("Tell me ")  # type: ignore[index]


def test_import_times_are_of_the_packages_own_modules(tmp_path: Path) -> None:
    lines = (
        "import time: self [us] | cumulative | imported package",
        "import time:      1000 |       1000 |       json.decoder",
        "import time:       200 |       1200 |     llama_cpp._utils",
        "a line of the server's log",
        "import time:      2500 |       3700 |   llama_cpp",
    )
    (tmp_path / "log").write_text("\n".join(lines))
    found = read_imports(tmp_path / "log", "m", "ours")
    assert found
    assert [(one.package, one.modules, one.self_ms) for one in found.packages] == [
        *(("llama_cpp", 2, 2.7), ("the standard library", 1, 1.0)),
    ]
    assert found.total_ms == pytest.approx(3.7)
    (tmp_path / "log").write_text("no Python\n")
    assert read_imports(tmp_path / "log", "m", "ours") is None


def test_what_cannot_be_started_is_told_beforehand(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + bytes(60))
    (tmp_path / "m.yaml").write_text("embeddings: true\nparameters: {model: m.gguf}\n")
    with pytest.raises(BenchError, match=r"m\.yaml: set context_size and slots"):
        list(make_variants(tmp_path, ["m"], ["llama-server"], ["warm"], [20]))
    with pytest.raises(BenchError, match="no model 'other'"):
        list(make_variants(tmp_path, ["other"], ["ours"], ["warm"], [20]))


def test_the_report_compares_what_differs_in_one_respect_and_takes_the_time_apart() -> None:
    rows = [
        series(start(first_ms=310), start(first_ms=300), start(first_ms=900)),
        series(start(first_ms=620), page_cache="cold"),
        series(start(first_ms=341), prompt="known prefix", prefix="known"),
        series(start(first_ms=1240, ledger=None), target="llama-server"),
    ]
    part = ColdPart(rounds=3, series=rows, imports=[])
    text = markdown(report_of(Session("cold", "cold start").result(complete=True, cold=part)))
    assert "**First answer, ours, warm page cache**: 0.31 s after the command (20 tokens)" in text
    assert "**Known prefix, ours, warm page cache**: 1.10 times as long as 20 tokens" in text
    assert "| ours, warm: 20 tokens | 100% | 0.05 | 0.21 | 0.31 | 0.3-0.9 | 30 | 49 | 0 |" in text
    assert re.findall(r"- (.* / .*): (\d\.\d\d)\n", text) == [
        ("ours, cold: 20 tokens / ours, warm: 20 tokens", "2.00"),
        ("ours, warm: known prefix / ours, warm: 20 tokens", "1.10"),
        ("llama-server, warm: 20 tokens / ours, warm: 20 tokens", "4.00"),
    ]
    assert "| ours, warm: 20 tokens | 100.0 | 0.0 | 0.0 | 0.0 | 50.0 | 10.0 | 50.0 | 100.0 |" in text
    assert "| llama-server, warm: 20 tokens | n/a | n/a | n/a | n/a | n/a | n/a | 1,020.0 | 220.0 |" in text
    assert "| phase | ours, warm: 20 tokens | ours, cold: 20 tokens | ours, warm: known prefix |" in text
    assert "| ready (age of the process) | 200.0 | 200.0 | 200.0 |" in text
    assert "| around the request | 40.0 | 350.0 | 71.0 |" in text


@pytest.mark.weights
def test_our_server_tells_every_phase_of_a_cold_start(
    models_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, out = "smollm2-135m-instruct", tmp_path / "out"
    options = ["--models", str(models_folder), "--rounds", "1", "--page-cache", "warm", "--out", str(out)]
    assert main(["bench", "cold", name, *options]) == 0
    [line] = json.loads(capsys.readouterr().out.splitlines()[-1])["starts"]
    assert {"model": name, "target": "ours", "page_cache": "warm", "prompt": "20 tokens"}.items() <= line.items()
    part = read_result(out).cold
    assert part
    [one] = part.series[0].starts
    assert one.ledger
    assert {"interpreter", "imports", "libraries", "weights", "context", "warm_up", "first_token"} <= one.ledger.keys()
    assert one.ledger["ready"] <= one.first_ms
    assert {"core", "llama_cpp"} <= {package.package for package in part.imports[0].packages}
    assert "From the command to the first answer" in (out / "report.md").read_text()
