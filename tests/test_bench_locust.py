"""The locustfile, run by locust in a process of its own, against servers of known timing."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.calibrate.calibration import Calibration
from bench.calibrate.scripts import SCRIPTS
from bench.load.adhoc import as_yaml
from bench.load.lead import Lead, verdict
from bench.load.shares import Plan, Rows, missing_workers, worker_file
from bench.record import CUT_OFF, INTERRUPTED, RequestRecord
from bench.requests_file import REQUESTS_FILE
from bench.result import Result, read_result
from bench.scenario import Scenario, make_scenario
from handlers.cli import main
from tests.bench_stub import TimedServer, in_thread

LOCUST = [sys.executable, "-m", "locust", "-f", str(Path(__file__).parents[1] / "bench/locustfile.py")]
HEADLESS = ("--headless", "--only-summary")
TOKENS = 6
EXACT = Calibration(scripts=[], error_ms={"ttft_ms": 0.1})


def start(url: str, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [*LOCUST, "-H", url, "--model", "m", "--osl", str(TOKENS), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(url: str, out: Path, *options: str) -> int:
    child = start(url, out, *HEADLESS, *options)
    child.communicate(timeout=90)
    return child.returncode


def rows(out: Path) -> list[RequestRecord]:
    return [RequestRecord.from_line(line) for line in (out / REQUESTS_FILE).read_text().splitlines()]


def median_of(result: Result, metric: str) -> float:
    found = result.stages[0].metrics[metric]
    assert found is not None
    return found.p50


@pytest.mark.parametrize("processes", [(), pytest.param(("--processes", "2"), marks=pytest.mark.extended)])
def test_an_open_loop_is_one_schedule_timed_token_by_token(tmp_path: Path, processes: tuple[str, ...]) -> None:
    with in_thread(TimedServer(ttft=0.2, itl=0.03, tokens=TOKENS)) as server:
        options = ("--rate", "20", "--arrivals", "constant", "--requests", "30", *processes)
        assert run(server.url, tmp_path, *options) == 0
        assert len({json.dumps(body["messages"]) for body in server.bodies}) == 30
    result, records = read_result(tmp_path), rows(tmp_path)
    assert (result.command, result.complete, result.stages[0].n_ok) == ("locust", True, 30)
    assert [record.index for record in records] == list(range(30))
    assert [record.t_sched - records[0].t_sched for record in records] == [n * 50_000_000 for n in range(30)]
    assert {(record.osl, record.token_source, len(record.chunks)) for record in records} == {(TOKENS, "usage", TOKENS)}
    assert 200 <= median_of(result, "ttft_from_send_ms") < 400
    assert 29 <= median_of(result, "itl_ms") < 60
    assert median_of(result, "gap_ms") > 15
    assert not list(tmp_path.glob("requests-*"))
    assert main(["bench", "report", str(tmp_path)]) == 0


def test_a_closed_loop_shares_its_requests_and_a_missed_slo_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret-1")
    with in_thread(TimedServer(ttft=0.05, tokens=TOKENS, api_key="secret-1")) as server:
        options = ("-u", "3", "--requests", "10", "--slo", "ttft=40", "--api-key-env", "SOME_KEY")
        assert run(server.url, tmp_path, *options) == 1
    assert not any("secret-1" in file.read_text() for file in tmp_path.iterdir())
    (stage,) = read_result(tmp_path).stages
    assert (stage.load.words, stage.n_ok, stage.rounds[0].most_in_flight) == ("3 clients", 10, 3)
    found = read_result(tmp_path).calibration
    assert found is not None
    assert [check.script for check in found.scripts] == [script.name for script in SCRIPTS]
    assert found.faults == []
    assert stage.goodput is not None
    assert stage.goodput.good == 0


@pytest.mark.extended
def test_a_server_that_is_down_is_all_failures_and_exit_code_1(tmp_path: Path) -> None:
    assert run("http://127.0.0.1:9", tmp_path, "--rate", "50", "--requests", "8") == 1
    (stage,) = read_result(tmp_path).stages
    assert (stage.n_sent, stage.n_ok, stage.n_err) == (8, 0, 8)
    assert all("ConnectionRefusedError" in str(record.err) for record in rows(tmp_path))
    assert [flag.severity for flag in stage.validity if flag.code == "errors"] == ["invalid"]


@pytest.mark.extended
def test_refusals_are_failures_with_their_words(tmp_path: Path) -> None:
    with in_thread(TimedServer(ttft=0.5, tokens=TOKENS, slots=2, queue=0)) as server:
        assert run(server.url, tmp_path, "--rate", "100", "--requests", "10") == 1
    assert Counter(record.status for record in rows(tmp_path)) == {200: 2, 429: 8}
    assert sum("busy" in str(record.err) for record in rows(tmp_path)) == 8


@pytest.mark.extended
def test_what_outlasts_the_drain_is_cut_off_and_counted(tmp_path: Path) -> None:
    with in_thread(TimedServer(ttft=60, tokens=TOKENS)) as server:
        assert run(server.url, tmp_path, "--rate", "50", "--requests", "5", "--drain", "0.2s") == 1
    assert [record.err for record in rows(tmp_path)] == [CUT_OFF] * 5


@pytest.mark.extended
@pytest.mark.parametrize("processes", [(), ("--processes", "2")])
def test_ctrl_c_keeps_what_was_measured(tmp_path: Path, processes: tuple[str, ...]) -> None:
    with in_thread(TimedServer(ttft=0.5, tokens=TOKENS)) as server:
        child = start(server.url, tmp_path, *HEADLESS, "--rate", "20", "--duration", "60s", *processes)
        give_up = time.monotonic() + 60
        while len(server.bodies) < 30 and time.monotonic() < give_up:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    assert child.returncode == 130
    result = read_result(tmp_path)
    (stage,) = result.stages
    assert not result.complete
    assert stage.n_ok > 5
    assert stage.n_censored > 2
    assert {record.err for record in rows(tmp_path)} == {None, INTERRUPTED}


@pytest.mark.extended
def test_the_web_ui_shows_the_results_and_sends_the_key_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    monkeypatch.setenv("SOME_KEY", "secret-1")
    with in_thread(TimedServer(ttft=0.05, itl=0.01, tokens=TOKENS, api_key="secret-1")) as server:
        ui = ("--web-host", "127.0.0.1", "--web-port", port, "--api-key-env", "SOME_KEY")
        child = start(server.url, tmp_path, *ui)
        try:
            seen, result = _swarmed(f"http://127.0.0.1:{port}")
        finally:
            child.terminate()
            _, log = child.communicate(timeout=60)
    assert "--api-key-env SOME_KEY is for the host of -H: start locust with -H http://127.0.0.1:9" in log
    counts = {(row["method"], row["name"]): row["num_requests"] for row in seen["stats"]}
    assert counts["POST", "chat"] == counts["METRIC", "ttft_ms"] == counts["METRIC", "itl_ms"] == 12
    assert next(count for (_, name), count in counts.items() if name == "Aggregated") == 12
    assert result["stages"][0]["n_ok"] == 12


def _swarmed(ui: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start a run as the form does, wait for its result, then ask for one of another host; what the page showed of the
    first, and its result."""
    with httpx.Client(base_url=ui, transport=httpx.HTTPTransport(retries=10)) as web:
        assert web.get("/bench/result.json").status_code == 404
        form = {"user_count": 1, "spawn_rate": 1, "rate": 20, "requests": 12, "arrivals": "constant", "duration": ""}
        assert web.post("/swarm", data=form).json()["success"]
        give_up = time.monotonic() + 60
        while (answer := web.get("/bench/result.json")).status_code != 200 and time.monotonic() < give_up:
            time.sleep(0.1)
        seen = web.get("/stats/requests").json()
        web.post("/swarm", data=form | {"host": "http://127.0.0.1:9"})
        return seen, answer.json()


def test_no_other_part_of_the_bench_loads_gevent() -> None:
    code = "import sys, bench.cli, bench.load.lead; print([m for m in ('gevent', 'locust') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def scenario(**load: Any) -> Scenario:
    content = {
        "schema": "bench.scenario/1",
        "name": "shared",
        "model": "m",
        "targets": [{"name": "t", "kind": "url", "url": "http://127.0.0.1:1/v1"}],
        "load": [{"name": "l", "prompts": {"isl": 20, "osl": 2}} | load],
        "slo": {"ttft_ms": 100},
    }
    return make_scenario(content, origin="test")


def plan(workers: int, out: Path, **load: Any) -> Plan:
    return Plan("run", scenario(**load).model_dump_json(by_alias=True), 1_000, workers, str(out))


def test_the_shares_of_all_workers_are_what_one_process_alone_would_send(tmp_path: Path) -> None:
    load = {"kind": "poisson", "rate": 10, "requests": 17}
    (alone,) = [list(plan(1, tmp_path, **load).turns(0))]
    shared = [turn for worker in range(3) for turn in plan(3, tmp_path, **load).turns(worker)]
    assert sorted(shared, key=lambda turn: turn[1].index) == alone
    assert alone[0][1].t_sched > 1_000


def test_a_plan_survives_its_journey_to_the_workers(tmp_path: Path) -> None:
    sent = plan(2, tmp_path, kind="closed", concurrency=2, requests=4)
    assert Plan.from_json(sent.to_json()) == sent
    assert as_yaml(Plan.from_json(sent.to_json()).scenario) == as_yaml(sent.scenario)


def answered(turn: tuple[str, RequestRecord], ttft_ms: int, err: str | None = None) -> RequestRecord:
    record = turn[1]
    record.t_send, record.t_first_tok = record.t_sched, record.t_sched + ttft_ms * 1_000_000
    record.t_last_tok = record.t_end = record.t_first_tok + 10_000_000
    record.osl, record.err = 2, err
    return record


def shared_result(out: Path, *, ttft_ms: int = 50, err: str | None = None) -> Result:
    lead = Lead(scenario(kind="constant", rate=10, requests=6), EXACT, workers=2, starts_in=0, out=out)
    for worker in (0, 1):
        written = Rows(out, worker)
        for turn in lead.plan.turns(worker):
            written.write(answered(turn, ttft_ms, err))
        written.close()
        lead.hear(worker, 0.5)
    return lead.result(patience=0)


def test_rows_of_all_workers_are_joined_in_their_order(tmp_path: Path) -> None:
    result = shared_result(tmp_path)
    assert result.complete
    assert [record.index for record in rows(tmp_path)] == list(range(6))
    assert result.stages[0].n_ok == 6


def test_a_number_below_the_error_of_the_client_is_refused(tmp_path: Path) -> None:
    lost = Calibration(scripts=[], error_ms={"ttft_ms": 51.0})
    lead = Lead(scenario(kind="constant", rate=10, requests=6), lost, workers=1, starts_in=0, out=tmp_path)
    written = Rows(tmp_path, 0)
    for turn in lead.plan.turns(0):
        written.write(answered(turn, 50))
    written.close()
    (stage,) = lead.result(patience=0).stages
    assert [flag.severity for flag in stage.validity if flag.code == "precision"] == ["invalid"]


def test_a_worker_that_was_lost_leaves_its_rows_and_an_incomplete_result(tmp_path: Path) -> None:
    lead = Lead(scenario(kind="constant", rate=10, requests=6), EXACT, workers=2, starts_in=0, out=tmp_path)
    for worker in (0, 1):
        lines = [answered(turn, 50).line() + "\n" for turn in lead.plan.turns(worker)]
        worker_file(tmp_path, worker).with_suffix(".jsonl" if worker else ".part").write_text("".join(lines))
    lead.hear(1, 0.5)
    result = lead.result(patience=0)
    assert not result.complete
    assert result.stages[0].n_sent == 6
    assert verdict(result, 0) == 130


def test_a_row_that_was_cut_is_left_out(tmp_path: Path) -> None:
    lead = Lead(scenario(kind="constant", rate=10, requests=2), EXACT, workers=1, starts_in=0, out=tmp_path)
    assert missing_workers(lead.plan) == [0]
    (first, _) = lead.plan.turns(0)
    whole = answered(first, 50).line()
    worker_file(tmp_path, 0).with_suffix(".part").write_text(f"{whole}\n{whole[:40]}")
    assert lead.result(patience=0).stages[0].n_sent == 1


def test_the_exit_code_is_the_verdict(tmp_path: Path) -> None:
    def code(name: str, attain: float = 0.95, **parts: Any) -> int:
        (tmp_path / name).mkdir()
        return verdict(shared_result(tmp_path / name, **parts), attain)

    assert code("good") == 0
    assert code("slow", ttft_ms=101) == 1
    assert code("slow but allowed", attain=0, ttft_ms=101) == 0
    assert code("failed", attain=0, err="HTTP 500") == 1
