"""The worker as a process: RunPod's SDK, real weights, and a queue on 127.0.0.1."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.config.model import ModelConfig
from core.errors import ModelUnusable
from core.runners.text import TextRunner
from handlers.runpod_worker import CONCURRENCY, answer_one_token, job_limit, wait_for_models
from handlers.settings import BadSetting
from tests.runpod_queue import RunpodQueue
from tests.serving import FakeService, eventually
from tests.test_hosts import free_port

ROOT = Path(__file__).parents[1]
MODEL = "smollm2-135m-instruct"
SECRET = "Xanthippe"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": f"Who is {SECRET}?"}], "max_tokens": 8}


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    queue: RunpodQueue
    log: Path

    def ask(self, asked: Any) -> Any:
        return self.queue.result(self.queue.submit(asked))


@contextmanager
def worker(models: Path, log: Path, *arguments: str, **environ: str) -> Iterator[Worker]:
    with RunpodQueue() as queue, log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "handlers.runpod_worker", *arguments],
            cwd=ROOT,
            env={**os.environ, "MODELS_PATH": str(models), "PRELOAD_MODELS": MODEL} | queue.environ() | environ,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            yield Worker(process, queue, log)
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def running(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with worker(models_folder, tmp_path_factory.mktemp("runpod") / "log") as running:
        yield running


@pytest.fixture
def queue(running: Worker) -> Iterator[RunpodQueue]:
    """A test may make it slow or failing; afterwards it is well again."""
    yield running.queue
    running.queue.ack_seconds = running.queue.failures = 0


def stream(max_tokens: int) -> dict[str, Any]:
    return {**CHAT, "stream": True, "stream_options": {"include_usage": True}} | {
        "max_tokens": max_tokens,
        "ignore_eos": True,
    }


def ending_of(parts: list[str], max_tokens: int) -> dict[str, Any]:
    """The last chunk of a stream that is complete: whole events, so many tokens, and all that belongs to the end."""
    *events, done = "".join(parts).removesuffix("\n\n").split("\n\n")
    assert done == "data: [DONE]"
    *chunks, last = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]
    assert last["usage"]["completion_tokens"] == max_tokens
    return dict(last)


def run_at_once(queue: RunpodQueue, count: int, max_tokens: int) -> tuple[float, float]:
    """Seconds until `count` streams that are queued together are there, complete and in order; and of these, seconds in
    which the model was at work, by what it says itself."""
    started = time.monotonic()
    jobs = [f"{started}-{i}" for i in range(count)]
    queue.submit_raw(*({"id": job, "input": stream(max_tokens)} for job in jobs))
    results = [queue.result(job, 110) for job in jobs]
    seconds = time.monotonic() - started
    computing = []
    for job, result in zip(jobs, results, strict=True):
        assert queue.stream(job) == result["output"]
        timings = ending_of(result["output"], max_tokens)["timings"]
        computing.append((timings["queue_ms"] + timings["prompt_ms"] + timings["predicted_ms"]) / 1e3)
    return seconds, max(computing)


@pytest.mark.weights
def test_a_job_is_answered_and_known_to_the_heartbeat_until_then(running: Worker) -> None:
    [body] = running.ask({"openai_route": "/v1/chat/completions", "openai_input": CHAT})["output"]
    assert body["usage"]["completion_tokens"] <= 8
    assert eventually(lambda: running.queue.pings)


@pytest.mark.weights
def test_eight_streams_of_400_tokens_arrive_complete_and_in_order(running: Worker, queue: RunpodQueue) -> None:
    queue.ack_seconds = 0.06
    run_at_once(queue, 8, 400)


@pytest.mark.weights
def test_a_malformed_job_fails_alone(running: Worker) -> None:
    jobs = [{"id": "good", "input": CHAT}, {"id": "empty", "input": None}, {"id": "none"}, {"id": "odd", "input": [1]}]
    running.queue.submit_raw(*jobs)
    assert "output" in running.queue.result("good")
    for job in ("empty", "none", "odd"):
        assert json.loads(running.queue.result(job)["error"])["error"]["status"] == 400


@pytest.mark.weights
def test_a_job_that_comes_twice_is_answered_twice(running: Worker) -> None:
    running.queue.submit_raw({"id": "twice", "input": CHAT}, {"id": "twice", "input": CHAT})
    posts = running.queue.posts["twice"]
    assert eventually(lambda: len([post for post in posts if post.kind == "done"]) == 2, 30)
    assert running.ask(CHAT)["output"]


@pytest.mark.weights
def test_a_job_that_is_stopped_frees_its_slot(running: Worker, queue: RunpodQueue) -> None:
    """All slots are taken by what would run for minutes: one more job is answered only after they are free again."""
    queue.ack_seconds = 0.2
    slots = next(
        model["slots"] for model in running.ask({"route": "/v1/models"})["output"][0]["data"] if "slots" in model
    )
    endless = [queue.submit(stream(4000)) for _ in range(slots)]
    for job in endless:
        queue.first_part(job)
    for job in endless:
        queue.stop(job)
    [body] = running.ask(CHAT)["output"]
    assert body["timings"]["queue_ms"] < 10_000
    assert all(post.kind == "stream" for job in endless for post in queue.posts[job]), "a stopped job has no end"


@pytest.mark.weights
def test_a_part_that_cannot_be_posted_is_missing_in_the_stream_only(running: Worker, queue: RunpodQueue) -> None:
    """The SDK gives a part up after three attempts; the result has it all the same."""
    queue.failures = 3
    job = queue.submit(stream(20))
    parts = queue.result(job)["output"]
    ending_of(parts, 20)
    assert queue.stream(job) == parts[1:]


@pytest.mark.weights
def test_no_prompt_is_logged_and_no_traceback_sent(running: Worker) -> None:
    running.ask({**CHAT, "temperature": "hot"})
    running.ask(CHAT)
    assert SECRET not in running.log.read_text()
    assert not [text for text in running.queue.raw if "Traceback" in text]


@pytest.mark.weights
def test_sigterm_lets_running_jobs_end(models_folder: Path, tmp_path: Path) -> None:
    with worker(models_folder, tmp_path / "log") as running:
        job = running.queue.submit(stream(60))
        running.queue.first_part(job)
        running.process.send_signal(signal.SIGTERM)
        ending_of(running.queue.result(job)["output"], 60)
        assert running.process.wait(30) == 0


@pytest.mark.weights
def test_the_development_api_answers(models_folder: Path, tmp_path: Path) -> None:
    port = str(free_port())
    with worker(models_folder, tmp_path / "log", "--rp_serve_api", "--rp_api_port", port) as running:

        def answer() -> Any:
            try:
                return httpx.post(f"http://localhost:{port}/runsync", json={"input": stream(4)}, timeout=30).json()
            except httpx.TransportError:
                return None

        answers: list[Any] = []
        assert eventually(lambda: answers.append(answer()) or answers[-1], 30)
        ending_of(answers[-1]["output"], 4)
        running.process.terminate()
        assert running.process.wait(30) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(running.process.pid, 0)  # no heartbeat is left


@pytest.mark.weights
def test_models_that_cannot_be_loaded_end_the_process(models_folder: Path, tmp_path: Path) -> None:
    shutil.copy(models_folder / f"{MODEL}.yaml", tmp_path)
    with worker(tmp_path, tmp_path / "log") as running:
        assert running.process.wait(30) == 1
        assert running.queue.num_asked == 0
    assert f"models cannot be loaded: {MODEL}: " in running.log.read_text()
    assert "Traceback" not in running.log.read_text()


@pytest.mark.weights
@pytest.mark.extended
@pytest.mark.timeout(600)
def test_acknowledgements_of_60_ms_cost_little(running: Worker, queue: RunpodQueue) -> None:
    """The rate with them and without differs by what else runs on the machine, so what counts is how much later than
    the model the stream is done."""
    run_at_once(queue, 8, 50)
    for _ in range(2):
        for ack_seconds in (0.0, 0.06):
            queue.ack_seconds = ack_seconds
            seconds, computing = run_at_once(queue, 8, 400)
            rate, late = 8 * 400 / seconds, seconds - computing
            print(
                f"acknowledgements of {ack_seconds} s: {rate:.0f} tok/s, {late:.2f} of {seconds:.1f} s after the model"
            )
            assert computing / seconds > 0.85


def run_command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handlers.runpod_worker", *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RUNPOD")}
    return subprocess.run(command, cwd=ROOT, env=variables | environ, capture_output=True, text=True, check=False)


def test_a_test_input_is_refused_since_it_would_run_nothing() -> None:
    refused = run_command("--test_input", '{"input": {}}')
    assert refused.returncode == 2
    assert "--rp_serve_api" in refused.stderr


def test_without_a_queue_it_says_how_to_try_it() -> None:
    refused = run_command()
    assert refused.returncode == 2
    assert "RUNPOD_WEBHOOK_GET_JOB is not set" in refused.stderr


def test_a_missing_folder_ends_the_process_with_its_name(tmp_path: Path) -> None:
    failed = run_command("--rp_serve_api", MODELS_PATH=str(tmp_path / "nope"))
    assert failed.returncode == 1
    assert "nope is not a folder" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.close()


def test_more_jobs_are_taken_than_there_are_slots_and_no_more_than_the_queue_holds(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.registry.preload(["fake"])
    wait_for_models(service, ["fake"])
    assert job_limit(service) == 4, "2 slots, and a queue of 2"
    monkeypatch.setenv(CONCURRENCY, "50")
    assert job_limit(service) == 50


def test_embeddings_want_many_jobs_and_beside_texts_as_many_as_those(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[dict[str, Any]] = []
    monkeypatch.setattr(service.catalog, "models", lambda: {"data": loaded})
    assert job_limit(service) == 12, "nothing is loaded yet: 3 for each of 4 slots"
    loaded.append({"id": "embedder", "state": "ready", "kind": "embedding"})
    assert job_limit(service) == 300
    loaded.append({"id": "writer", "state": "ready", "kind": "text", "slots": 4, "max_queue": 64})
    assert job_limit(service) == 24
    loaded.append({"id": "terse", "state": "ready", "kind": "text", "slots": 4, "max_queue": 6})
    assert job_limit(service) == 10, "one more for this model would be refused, and fail"


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_a_concurrency_that_is_none_is_refused(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CONCURRENCY, value)
    with pytest.raises(BadSetting, match=CONCURRENCY):
        job_limit(service)


def test_a_healthy_model_answers_one_token(service: FakeService) -> None:
    service.registry.preload(["fake"])
    wait_for_models(service, [])
    answer_one_token(service)
    service.drain()
    with pytest.raises(Exception, match="shutting down"):
        answer_one_token(service)


def test_a_model_that_was_named_and_failed_is_fatal() -> None:
    class Broken(FakeService):
        def _make(self, config: ModelConfig) -> TextRunner:
            raise ModelUnusable("no weights")

    service = Broken()
    service.registry.preload(["fake"])
    with pytest.raises(ModelUnusable, match="fake: no weights"):
        wait_for_models(service, ["fake"])
