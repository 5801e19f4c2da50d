"""Whole measurements of servers with known limits: each limit must be found where it is."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.calibrate.calibration import Calibration
from bench.context.measure import PASSWORD, QUESTIONS_FILE, ContextRun, Settings, Watcher
from bench.context.overflow import probe_overflow
from bench.context.parts import ContextPart
from bench.context.reader import Reader
from bench.context.server import server_facts
from bench.errors import BenchError
from bench.report.contents import report_of
from bench.report.markdown import markdown
from bench.result import read_result
from bench.session import Session
from bench.slo import Slo
from handlers.cli import main
from tests.reading_stub import ReadingServer
from tests.serving import Server

AT_LEISURE = Slo(ttft_ms=1e6, itl_ms=1e6)


def new_run(
    out: Path, *, max_length: int | None = None, quick: bool = True, slo: Slo = AT_LEISURE, seed: int = 7
) -> ContextRun:
    settings = Settings(slo, texts=2, max_length=max_length, quick=quick, seed=seed)
    return ContextRun(settings, out, "a run", Watcher(lambda words, tokens: None, lambda words, advance: None))


def measured(server: ReadingServer, run: ContextRun) -> ContextPart:
    async def measure() -> None:
        async with server.running():
            await run.measure_server(server.url, "m")

    asyncio.run(measure())
    assert run.complete
    return run.part()


def test_a_server_without_a_weakness_is_bound_by_what_it_is_set_to(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096), new_run(tmp_path))
    ladder = part.ladder
    assert (ladder.binding, ladder.usable) == ("configured", 4096)
    assert ladder.limits["effective"].at_least
    assert ladder.limits["latency"].at_least
    assert ladder.limits["advertised"].tokens is None
    assert ladder.limits["memory"].tokens is None
    assert part.effective
    assert all(cell.right == cell.n > 0 for cell in part.effective.cells)


def test_the_length_beyond_which_retrieval_breaks_is_found(tmp_path: Path) -> None:
    part = measured(ReadingServer(8192, told=8192, attention=4500), new_run(tmp_path, quick=False))
    assert part.effective
    lengths = part.lengths
    held = max(length for length in lengths if length <= 4500)
    assert part.ladder.limits["effective"].tokens == held
    assert (part.ladder.binding, part.ladder.usable) == ("effective", held)
    by_length = {score.length: score for score in part.effective.longer}
    assert by_length[held].verdict == "holds"
    beyond = lengths[lengths.index(held) + 1]
    assert by_length[beyond].verdict == "fails"
    assert by_length[beyond].texts == 1, "a hopeless length is given up early"


def test_a_seed_gives_the_same_facts_again_and_another_one_others(tmp_path: Path) -> None:
    def asked(seed: int, out: Path) -> list[str]:
        out.mkdir()
        part = measured(ReadingServer(4096, told=4096), new_run(out, seed=seed))
        assert part.seed == seed
        return [json.loads(line)["expected"] for line in (out / QUESTIONS_FILE).read_text().splitlines()]

    first = asked(1, tmp_path / "first")
    assert first == asked(1, tmp_path / "again")
    assert not set(first) & set(asked(2, tmp_path / "other"))


def test_every_question_is_kept_with_its_answer(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096, attention=2500), new_run(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / QUESTIONS_FILE).read_text().splitlines()]
    assert part.effective
    assert len(lines) == sum(cell.n for cell in part.effective.cells)
    assert sum(line["right"] for line in lines) == sum(cell.right for cell in part.effective.cells)
    assert {line["answer"] for line in lines if not line["right"]} == {"It is 11."}


def test_questions_on_one_text_share_everything_before_the_question(tmp_path: Path) -> None:
    server = ReadingServer(4096, told=4096)
    measured(server, new_run(tmp_path))
    texts = [body["messages"][0]["content"].partition("\n\nQuestion: ")[0] for body in server.seen]
    on_one_text = max(texts.count(text) for text in texts)
    assert on_one_text == 30
    timed = {body["messages"][0]["content"].split(":")[0] for body in server.seen if body.get("stream")}
    assert len(timed) == sum(bool(body.get("stream")) for body in server.seen), "a timed text was read before"


def test_a_proper_refusal_is_told_with_its_code(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096), new_run(tmp_path, max_length=1600))
    assert part.overflow
    prompt, answer = part.overflow.prompt, part.overflow.answer
    assert (prompt.behaviour, prompt.status, prompt.code) == ("refused", 400, "context_length_exceeded")
    assert (answer.behaviour, answer.status, answer.code) == ("refused", 400, "context_length_exceeded")


def test_silent_truncation_is_found_by_the_count_and_by_the_canary(tmp_path: Path) -> None:
    server = ReadingServer(4096, told=4096, on_long_prompt="truncate", on_long_answer="clamp")
    part = measured(server, new_run(tmp_path, max_length=1600))
    assert part.overflow
    prompt = part.overflow.prompt
    assert (prompt.behaviour, prompt.status) == ("truncated", 200)
    assert prompt.counted_tokens
    assert prompt.counted_tokens <= 4096 < prompt.sent_tokens
    assert (prompt.canary_known_when_short, prompt.canary_known) == (True, False)


def test_a_silent_clamp_of_max_tokens_is_found(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096, on_long_answer="clamp"), new_run(tmp_path, max_length=1600))
    assert part.overflow
    answer = part.overflow.answer
    assert (answer.behaviour, answer.finish) == ("clamped", "length")
    assert answer.completion_tokens
    assert answer.completion_tokens < answer.max_tokens


def test_a_server_that_reads_less_than_it_says_is_found_out(tmp_path: Path) -> None:
    server = ReadingServer(3000, told=8192, on_long_prompt="truncate")
    part = measured(server, new_run(tmp_path))
    configured = part.ladder.limits["configured"]
    assert configured.tokens
    assert 2900 < configured.tokens <= 3000
    assert "did not say so" in configured.why
    assert part.ladder.binding == "configured"
    assert 0.94 * 3000 < max(part.lengths) <= 3000


def test_a_context_that_is_not_told_is_found_by_trying(tmp_path: Path) -> None:
    part = measured(ReadingServer(3000), new_run(tmp_path, max_length=4000))
    configured = part.ladder.limits["configured"]
    assert configured.tokens
    assert 0.94 * 3000 < configured.tokens <= 3000
    assert "context_length_exceeded" in configured.why
    with pytest.raises(BenchError, match="--max-length"):
        measured(ReadingServer(3000), new_run(tmp_path))


def test_what_was_not_tried_binds_nothing(tmp_path: Path) -> None:
    part = measured(ReadingServer(8192, told=8192), new_run(tmp_path, max_length=2000))
    assert part.ladder.binding is None
    assert part.latency
    assert part.ladder.usable == max(timing.tokens for timing in part.latency.timings)
    assert "no limit was met" in part.ladder.verdict


def test_an_slo_that_nothing_keeps_leaves_no_usable_length(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096), new_run(tmp_path, slo=Slo(ttft_ms=1e-6, itl_ms=1e-6)))
    assert (part.ladder.binding, part.ladder.usable) == ("latency", 0)


def test_a_stopped_measurement_keeps_what_it_has(tmp_path: Path) -> None:
    run = new_run(tmp_path)

    async def stop() -> None:
        async with ReadingServer(4096, told=4096).running() as server:
            measuring = asyncio.create_task(run.measure_server(server.url, "m"))
            while len(server.seen) < 40:
                await asyncio.sleep(0.01)
            measuring.cancel()
            with pytest.raises(asyncio.CancelledError):
                await measuring

    session = Session("context", "context limits")
    asyncio.run(stop())
    session.result(complete=run.complete, model_name="m", context=run.part()).write(tmp_path)
    result = read_result(tmp_path)
    assert not result.complete
    assert result.context
    assert result.context.latency
    assert len(result.context.latency.timings) == 2
    assert result.context.effective
    assert result.context.effective.base.n == 30, "a text that was not finished does not count"
    assert result.context.overflow is None
    assert "the run was stopped before its end" in markdown(report_of(result))


def test_the_report_says_what_binds_and_shows_every_limit(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    part = measured(ReadingServer(4096, told=4096, attention=2500), run)
    session = Session("context", "context limits")
    text = markdown(report_of(session.result(complete=True, model_name="m", context=part)))
    assert f"Usable: {part.ladder.usable:,} tokens. The effective limit binds, somewhere between" in text
    for words in (
        "was trained for | unknown",
        "the server takes | 4,096 | - |",
        f"makes use of | {part.ladder.usable:,}, fails at {max(part.lengths):,} | binds |",
        "Right answers by length and depth: retrieval",
    ):
        assert words in text
    assert "refused, as it should be (HTTP 400, code context_length_exceeded)" in text


def test_a_model_that_can_do_nothing_gets_no_effective_limit_but_the_reason(tmp_path: Path) -> None:
    part = measured(ReadingServer(4096, told=4096, attention=0), new_run(tmp_path))
    assert part.ladder.limits["effective"].tokens is None
    assert "effective (not even from a short text does the model answer: retrieval 0 of 20 right" in part.ladder.verdict
    result = Session("context", "context limits").result(complete=True, model_name="m", context=part)
    assert "The model can do none of it even there" in markdown(report_of(result))


def test_a_model_that_is_not_served_is_named_with_those_that_are(tmp_path: Path) -> None:
    async def measure() -> None:
        async with ReadingServer(4096).running() as server:
            await new_run(tmp_path).measure_server(server.url, "other")

    with pytest.raises(BenchError, match="serves no model 'other'; it has m"):
        asyncio.run(measure())


def test_a_context_too_short_to_compare_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be compared by length"):
        measured(ReadingServer(1024, told=1024), new_run(tmp_path))


@contextmanager
def in_a_thread(server: ReadingServer) -> Iterator[str]:
    """The server beside a command that has an event loop of its own."""
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server.running():
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    ready.wait()
    try:
        yield server.url
    finally:
        done.set()
        thread.join()


def test_the_command_leaves_result_and_report_and_ends_with_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], calibration: Calibration
) -> None:
    with in_a_thread(ReadingServer(4096, told=4096, attention=2500)) as url:
        options = ["--target", url, "--quick", "--slo", "ttft=10min,itl=1min", "--out", str(tmp_path / "out")]
        assert main(["bench", "context", "m", *options]) == 0
    output = capsys.readouterr()
    headline = json.loads(output.out.splitlines()[-1])
    assert (headline["binding"], headline["complete"]) == ("effective", True)
    assert headline["limits"]["configured"] == 4096
    assert headline["limits"]["advertised"] is None
    assert "at least" in output.err, "the expected time is told"
    assert read_result(tmp_path / "out").calibration == calibration
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {"result.json", "report.md", "questions.jsonl"}


@pytest.mark.usefixtures("calibration")
def test_a_key_is_sent_with_every_request_and_kept_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret-1")
    with in_a_thread(ReadingServer(4096, told=4096, api_key="secret-1")) as url:
        options = ["--target", url, "--quick", "--out", str(tmp_path / "out"), "--api-key-env", "SOME_KEY"]
        assert main(["bench", "context", "m", *options]) == 0
    output = capsys.readouterr()
    assert "secret-1" not in output.out + output.err
    assert not any("secret-1" in file.read_text() for file in (tmp_path / "out").iterdir())


@pytest.mark.usefixtures("calibration")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--api-key-env", "SOME_KEY"], "--api-key-env SOME_KEY: only a --target has a key"),
        (["--target", "http://h:1/v1", "--api-key-env", "NO_KEY"], "NO_KEY should hold its API key"),
        (["--target", "http://h:1/v1", "--memory", "0"], "--memory 0: must be more than 0"),
        (["--texts", "0"], "--texts 0: 1 to 10"),
        (["--slo", "e2e=9s"], "'e2e=9s' is not a limit: write ttft=2s,itl=100ms, or one of"),
        (["--target", "http://127.0.0.1:1/v1"], "127.0.0.1:1/v1/models"),
        ([], "no model 'm'"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_remedy(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "context", "m", "--models", str(tmp_path), "--out", str(tmp_path / "out"), *options]
    assert main(arguments) != 0
    assert words in capsys.readouterr().err


@pytest.mark.weights
def test_our_own_server_tells_its_limit_keeps_a_text_and_refuses_more(real_server: Server) -> None:
    name, url = "smollm2-135m-instruct", f"{real_server.url}/v1"

    async def measure() -> None:
        facts = await server_facts(url, name)
        assert (facts.kind, facts.configured) == ("ours", 4096)
        reader = Reader(url, name, facts.kind, "a run", seed=7)
        try:
            await examine(reader)
        finally:
            await reader.close()

    async def examine(reader: Reader) -> None:
        await reader.calibrate()
        stack = reader.haystack(900, 0)
        timing = await reader.time_haystack(stack, 900)
        assert timing.tokens == pytest.approx(900, rel=0.1)
        assert timing.cached is not None
        assert timing.cached < 100
        answer = await reader.ask_about(stack, stack.questions[0], 900)
        assert answer.cached
        assert answer.cached > 700
        overflow = await probe_overflow(reader, 4096, PASSWORD)
        assert (overflow.prompt.behaviour, overflow.prompt.code) == ("refused", "context_length_exceeded")
        assert (overflow.answer.behaviour, overflow.answer.code) == ("refused", "context_length_exceeded")

    asyncio.run(measure())
