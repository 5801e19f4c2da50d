"""`warmfn bench load` from its options to its last line."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml

from bench.calibrate.calibration import Calibration
from bench.errors import BenchError
from bench.load.adhoc import base_url
from bench.result import read_result
from bench.scenario import Scenario, read_scenario
from bench.series import stages_of
from handlers.cli import main
from tests.bench_stub import StubServer, TimedServer, in_thread

NOWHERE = "http://127.0.0.1:1"


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> Scenario:
    assert main(["bench", "load", NOWHERE, "--model", "m", "--print-scenario", *options]) == 0
    return Scenario.model_validate(yaml.safe_load(capsys.readouterr().out))


def failure(capsys: pytest.CaptureFixture[str], *options: str, url: str = NOWHERE) -> str:
    assert main(["bench", "load", url, *options]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words", "requests"),
    [
        ((), "1 client", 20),
        (("--concurrency", "4"), "4 clients", 80),
        (("--concurrency", "4", "--duration", "1m"), "4 clients", 4000),
        (("--rate", "2.5"), "Poisson arrivals, 2.5 requests/s", 150),
        (("--rate", "2", "--arrivals", "constant", "--requests", "7"), "2 requests/s, evenly spaced", 7),
        (("--ramp", "1:3:3", "--duration", "10s"), "from 1 to 3 requests/s in 3 steps of 10 s", 60),
        (("--sweep", "clients=1,2,4", "--requests", "30"), "1, 2, 4 clients", 90),
        (("--sweep", "rate=.5,1", "--duration", "20s"), "0.5, 1 requests/s", 30),
    ],
)
def test_options_become_a_scenario(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str, requests: int
) -> None:
    (load,) = printed(capsys, *options).load
    assert (load.words, load.num_requests) == (words, requests)


def test_the_printed_scenario_is_a_file_that_can_be_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ("--goodput", "1:8", "--slo", "ttft=2s,itl=100", "--isl", "40", "--drain", "30s")
    scenario = printed(capsys, *options)
    path = tmp_path / "load.yaml"
    assert main(["bench", "load", NOWHERE, "--model", "m", "--print-scenario", *options]) == 0
    path.write_text(capsys.readouterr().out)
    assert read_scenario(path).hash == scenario.hash
    assert scenario.slo is not None
    assert scenario.slo.limits == {"ttft_ms": 2000, "itl_ms": 100}
    assert (scenario.load[0].prompts.isl, scenario.load[0].drain) == (40, 30)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "m", "--goodput", "1:8"), "say under `slo` what is good"),
        (("--model", "m", "--goodput", "8:1", "--slo", "ttft=9"), "lo (8) must be below hi (1)"),
        (("--model", "m", "--goodput", "8"), "write --goodput LO:HI"),
        (("--model", "m", "--slo", "ttft=2s,speed=9"), "'speed=9' is not a limit: write ttft=2s,itl=100ms,e2e=30s"),
        (("--model", "m", "--sweep", "1,2"), "write clients=1,2,4,8 or rate=0.5,1,2"),
        (("--model", "m", "--sweep", "clients=1,x"), "load.0.concurrency.1: "),
        (("--model", "m", "--rate", "-1"), "load.0.rate: "),
        (("--model", "m", "--rate", "0"), "load.0.rate: "),
        (("--model", "m", "--requests", "0"), "load.0.requests: "),
        (("--arrivals", "constant"), "--arrivals constant is for --rate, --ramp and --sweep rate=...: leave it out"),
        (("--goodput", "1:8", "--slo", "ttft=9", "--arrivals", "constant"), "--arrivals constant is for --rate"),
        (("--rate", "1", "--slo", "ttft=9", "--attain", "0.99"), "--attain is for --goodput"),
        (("--model", "m", "--ramp", "1:2:3", "--requests", "9"), "leave --requests out"),
        (("--model", "m", "--rate", "1", "--duration", "soon"), "load.0.duration: "),
        (("--rate", "1"), "http://127.0.0.1:1/v1/models does not tell which models there are"),
    ],
)
def test_a_fault_is_told_with_its_option_or_key(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert words in failure(capsys, *options)


def test_kinds_of_load_exclude_each_other() -> None:
    with pytest.raises(SystemExit):
        main(["bench", "load", NOWHERE, "--rate", "1", "--concurrency", "2"])


def test_addresses_get_a_v1_only_where_they_have_no_path() -> None:
    assert base_url("http://h:1") == base_url("http://h:1/") == base_url("http://h:1/v1/") == "http://h:1/v1"
    assert base_url("https://h/openai/v1") == "https://h/openai/v1"
    with pytest.raises(BenchError, match="is not a URL"):
        base_url("localhost:8080")


def test_a_sweep_is_measured_and_ends_in_one_json_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, calibration: Calibration
) -> None:
    with in_thread(TimedServer(ttft=0.01, slots=2)) as server:
        options = ["--sweep", "clients=1,2,3,4", "--requests", "24", "--out", str(tmp_path), "--slo", "e2e=60000"]
        assert main(["bench", "load", server.url, *options]) == 0
    headline = json.loads(capsys.readouterr().out.splitlines()[-1])
    result = read_result(tmp_path)
    assert result.command == "load"
    assert result.calibration == calibration
    assert headline["complete"] is True
    assert {name: stage["ok"] for name, stage in headline["stages"].items()} == {
        f"load-c{clients}": 24 for clients in (1, 2, 3, 4)
    }
    assert [point.x for point in result.curves[0].points] == [1, 2, 3, 4]
    assert all(point.goodput and point.goodput.share == 1 for point in result.curves[0].points)
    assert "load: over clients at once" in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("calibration")
def test_a_goodput_search_is_measured_and_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """No server answers in 5 ms if it waits 50: the search ends at its lowest rate, with every probe on record."""
    with in_thread(TimedServer(ttft=0.05)) as server:
        options = ["--goodput", "200:400", "--requests", "20", "--attain", "0.8", "--slo", "ttft=5"]
        assert main(["bench", "load", server.url, *options, "--out", str(tmp_path), "--warmup", "0"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["goodput_req_s"] == [None]
    (search,) = read_result(tmp_path).searches
    assert [(probe.rate, probe.verdict, probe.goodput.n) for probe in search.probes] == [(200, "missed", 20)]
    assert "not even the lowest rate attained it" in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("calibration")
def test_a_key_is_sent_and_only_its_variable_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "secret-1")
    with in_thread(TimedServer(ttft=0.01, api_key="secret-1")) as server:
        assert "401" in failure(capsys, url=server.url)
        options = ["--requests", "4", "--out", str(tmp_path), "--api-key-env", "SOME_KEY"]
        assert main(["bench", "load", server.url, *options]) == 0
    (stage,) = read_result(tmp_path).stages
    assert stage.n_ok == 4
    output = capsys.readouterr()
    assert "secret-1" not in output.out + output.err
    assert not any("secret-1" in file.read_text() for file in tmp_path.iterdir())
    monkeypatch.delenv("SOME_KEY")
    assert "SOME_KEY should hold its API key" in failure(capsys, "--api-key-env", "SOME_KEY")


@pytest.mark.usefixtures("calibration")
def test_ctrl_c_keeps_what_was_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with in_thread(TimedServer(ttft=0.02)) as server:
        threading.Thread(target=_interrupt, args=[server, 20]).start()
        options = ["--rate", "50", "--duration", "60s", "--warmup", "0", "--out", str(tmp_path)]
        assert main(["bench", "load", server.url, *options]) == 130
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["complete"] is False
    (stage,) = read_result(tmp_path).stages
    assert 15 <= stage.n_ok <= stage.n_sent < 3000
    assert stage.n_sent == len((tmp_path / "requests.jsonl").read_text().splitlines())


def _interrupt(server: StubServer, after: int) -> None:
    """As Ctrl-C does, when the server has seen so many requests."""
    give_up = time.monotonic() + 60
    while len(server.bodies) < after and time.monotonic() < give_up:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


def test_stages_of_a_scenario_have_names_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    names = [stage.name for stage in stages_of(printed(capsys, "--sweep", "rate=0.5,1,2").load)]
    assert names == ["load-r0.5", "load-r1", "load-r2"]
