"""Load by locust against any OpenAI-compatible deployment: its web UI and ways to distribute, our numbers.

    locust -f bench/locustfile.py -H http://127.0.0.1:8080 --rate 2 --duration 60s --headless
    locust -f bench/locustfile.py -H http://127.0.0.1:8080 -u 8 --requests 200 --headless --processes 2
    locust -f bench/locustfile.py -H http://127.0.0.1:8080        (web UI on port 8089)

With `--rate` or `--ramp` requests arrive whether or not earlier ones were answered; else each of the `-u` users sends
its next request when its last one has ended. The run ends by itself when all requests have. `--out` then holds
result.json, requests.jsonl and report.md as `warmfn bench` writes them; the exit code is 1 if a request failed or
`--slo` was missed.

Locust replaces Python's sockets and threads by gevent's, so nothing else may import this file. Left alone, its
statistics would time a stream to its headers and round to two digits; here they count from when a request was due to
its last byte.
"""

from __future__ import annotations

import json
import logging
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import gevent
import locust.stats
from gevent import GreenletExit
from gevent.pool import Pool
from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from bench.calibrate.calibration import Calibration
from bench.commands.options import EXIT_INTERRUPTED, out_folder
from bench.errors import BenchError
from bench.load.adhoc import adhoc_scenario
from bench.load.lead import Lead, verdict
from bench.load.shares import Plan, Rows
from bench.record import CUT_OFF, INTERRUPTED, RequestRecord
from bench.reply import read_stream
from bench.request import request_path, streamed_request
from bench.slo import grammar
from bench.stages import Closed
from bench.swarm.calibrate import calibrate
from bench.swarm.stream import post
from bench.targets.programs import without_end
from bench.transport.exchange import Exchange
from bench.workload import Prompt

log = logging.getLogger("bench")
LONGEST_SILENCE = 900.0
"""A long prompt on a small CPU; locust's own 60 s would call it a failure."""
MOST_SPAWNED = 100
"""Users per second; locust warns above it."""
DONE = "bench_done"

locust.stats.bucket_response_time = lambda milliseconds: round(milliseconds, 1)

measured = EventHook()
"""Fired with `record` for every request that has ended, however it did."""


class Share:
    """What this process sends of a plan, and the file in which it says how that went."""

    def __init__(self, plan: Plan, number: int, environment: Environment) -> None:
        if number >= plan.workers or abs(plan.start - perf_counter_ns()) > 60e9:
            raise BenchError("workers must have joined before the run, and be processes of the master's own host")
        self.plan, self.stage, self.scenario = plan, plan.stage, plan.scenario
        self.api_key = self.scenario.targets[0].api_key()
        self.url = str(self.scenario.targets[0].url) + request_path(self.scenario.workload)
        self.model = self.scenario.targets[0].model or self.scenario.model
        ignore_eos = self.scenario.workload.sampling.ignore_eos
        self.extra = without_end(self.scenario.targets[0], None) if ignore_eos else {}
        self.is_dispatched = self.is_stopping = False
        self.reason = CUT_OFF
        self.pool = Pool(None if isinstance(self.stage, Closed) else self.stage.max_in_flight)
        self.rows = Rows(Path(plan.out), number)
        self._number, self._environment, self._turns = number, environment, plan.turns(number)
        self._is_winding_up = self._is_over = False
        self._cpu = time.process_time()

    def turns(self) -> Iterator[tuple[Prompt, RequestRecord]]:
        """Shared by all users of this process: each turn is taken once."""
        lasts = self.stage.duration if isinstance(self.stage, Closed) else None
        closes = None if lasts is None else self.plan.start + lasts * 1e9
        while not self.is_stopping and (closes is None or perf_counter_ns() < closes):
            if (turn := next(self._turns, None)) is None:
                return
            yield turn

    def wind_up(self) -> None:
        """Let what was sent finish, for as long as the drain allows, and tell whoever leads that this share is done."""
        if self._is_winding_up:
            return
        self._is_winding_up = True
        self.pool.join(timeout=self.stage.drain)
        self.end(CUT_OFF)
        cpu = time.process_time() - self._cpu
        self._environment.runner.send_message(DONE, {"worker": self._number, "cpu_s": cpu})

    def end(self, reason: str) -> None:
        """End what still runs: their records say why, and count."""
        if not self._is_over:
            self._is_over, self.reason = True, reason
            self.pool.kill()
            self.rows.close()


SHARE: Share | None = None
LEAD: Lead | None = None


class Client(FastHttpUser):
    """A user of the closed loop; of an open loop the first user of each process sends everything, the others nothing.

    `concurrency` would hold requests of one user back beyond 10, which looks just like a server that cannot take more.
    """

    wait_time = constant(0)
    concurrency = 10_000
    network_timeout = connection_timeout = LONGEST_SILENCE

    @task
    def work(self) -> None:
        if SHARE is None:
            raise StopUser
        if isinstance(SHARE.stage, Closed):
            for prompt, record in SHARE.turns():
                SHARE.pool.spawn(self.ask, SHARE, prompt, record).join()
        elif not SHARE.is_dispatched:
            SHARE.is_dispatched = True
            for prompt, record in SHARE.turns():
                gevent.sleep(max(0.0, (record.t_sched - perf_counter_ns()) / 1e9))
                SHARE.pool.spawn(self.ask, SHARE, prompt, record)
        else:
            raise StopUser
        SHARE.wind_up()
        raise StopUser

    def ask(self, share: Share, prompt: Prompt, record: RequestRecord) -> None:
        body = streamed_request(
            share.scenario.workload, model=share.model, prompt=prompt, max_tokens=record.osl_req, extra=share.extra
        )
        exchange = Exchange()
        try:
            post(self.client, share.url, json.dumps(body), exchange, share.api_key)
        except GreenletExit:
            exchange.err = share.reason
        finally:
            read_stream(exchange, record)
            measured.fire(environment=self.environment, share=share, record=record)


@measured.add_listener
def write_row(share: Share, record: RequestRecord, **_: Any) -> None:
    share.rows.write(record)


@measured.add_listener
def show_in_statistics(environment: Environment, record: RequestRecord, **_: Any) -> None:
    """One request each for locust; TTFT and ITL as rows of type METRIC that no total includes."""
    environment.events.request.fire(
        request_type="POST",
        name="chat",
        response_time=record.e2e_ms,
        response_length=record.osl or 0,
        exception=RuntimeError(record.err) if record.err else None,
        context={},
    )
    for name in ("ttft_ms", "itl_ms"):
        if record.ok and (value := getattr(record, name)) is not None:
            environment.stats.get(name, "METRIC").log(value, 0)


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument_group("warmfn", "what is asked of the deployment, and when").add_argument
    add("--rate", type=float, env_var="BENCH_RATE", help="requests per second, whatever became of the earlier ones")
    add("--ramp", env_var="BENCH_RAMP", help="FROM:TO:STEPS requests per second, each step held for --duration")
    add("--arrivals", choices=("poisson", "constant"), default="poisson", env_var="BENCH_ARRIVALS")
    add("--duration", env_var="BENCH_DURATION", help="as 30s or 5m; -t means the same")
    add("--requests", type=int, env_var="BENCH_REQUESTS", help="of all users together")
    add("--model", env_var="BENCH_MODEL", help="default: the only one that the server lists")
    add("--kind", choices=("url", "ours", "llama-server"), default="url", env_var="BENCH_KIND")
    add("--api-key-env", env_var="BENCH_API_KEY_ENV", help="the environment variable with the deployment's API key")
    add("--isl", type=int, default=128, env_var="BENCH_ISL", help="tokens of each prompt, about")
    add("--osl", type=int, default=64, env_var="BENCH_OSL", help="tokens of each answer")
    add("--drain", env_var="BENCH_DRAIN", help="how long the last requests may take (default: 15m)")
    add("--slo", env_var="BENCH_SLO", help=f"what counts as in time: {grammar()}")
    add("--attain", type=float, default=0.95, env_var="BENCH_ATTAIN", help="the share that must meet --slo")
    add("--out", env_var="BENCH_OUT", help="an empty folder for the result; default: bench/results/<time>-locust")


def _lead(environment: Environment) -> Lead:
    """Starts when every worker has a user. Raises BenchError for options that make no load."""
    runner, out = environment.runner, environment.parsed_options.out
    if runner.target_user_count < runner.worker_count:
        raise BenchError(f"{runner.worker_count} workers need a user each: -u {runner.worker_count} or more")
    scenario = adhoc_scenario(_as_load_options(environment))
    scenario.targets[0].api_key()  # where there is none, that is told here and not by every worker
    spawning = 0.2 if runner.worker_count == 1 else 1 + runner.worker_count / environment.parsed_options.spawn_rate
    folder = out_folder(Path(out) if out else None, "locust")
    calibration = _calibrated(environment, folder)
    return Lead(scenario, calibration, workers=runner.worker_count, starts_in=spawning, out=folder)


def _calibrated(environment: Environment, folder: Path) -> Calibration:
    """With a user as the workers will have them, in this process: theirs are of its host, and idle meanwhile."""
    log.info("calibrating the client")
    Client.host = environment.host  # as locust does a moment later
    return calibrate(Client(environment).client, folder)


def _as_load_options(environment: Environment) -> Namespace:
    """The options of `warmfn bench load`. The web UI gives an empty text for what was not filled in."""
    given = {name: None if value == "" else value for name, value in vars(environment.parsed_options).items()}
    if not environment.host:
        raise BenchError("which deployment? give -H URL")
    fixed = {"url": environment.host, "sweep": None, "goodput": None, "rounds": 1, "warmup": 0}
    return Namespace(**given | fixed | {"concurrency": environment.runner.target_user_count})


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    options, runner = environment.parsed_options, environment.runner
    if isinstance(runner, WorkerRunner):
        return
    runner.register_message(DONE, hear)
    options.num_users = options.num_users or (options.expect_workers if options.master else 1)
    options.spawn_rate = options.spawn_rate or MOST_SPAWNED
    if options.run_time:  # would cut off what is in flight; the plan's own end lets it finish
        options.duration, options.run_time = f"{options.run_time}s", None
    if environment.web_ui:
        environment.web_ui.app.add_url_rule("/bench/<name>", "bench", show_file)


def show_file(name: str) -> tuple[str, int, dict[str, str]]:
    """In the web UI: result.json and report.md of the last run."""
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    path = Path(LEAD.plan.out) / name if LEAD else None
    if path is None or name not in ("result.json", "report.md") or not path.exists():
        return "no run has ended yet; then there are /bench/result.json and /bench/report.md", 404, plain
    return path.read_text(encoding="utf-8"), 200, plain


@events.test_start.add_listener
def begin(environment: Environment, **_: Any) -> None:
    global LEAD, SHARE
    LEAD = SHARE = None
    try:
        if not isinstance(environment.runner, WorkerRunner):
            environment.process_exit_code = EXIT_INTERRUPTED  # until there is a result
            LEAD = _lead(environment)
            environment.parsed_options.bench_plan = LEAD.plan.to_json()  # travels to the workers
        if not isinstance(environment.runner, MasterRunner):
            plan = Plan.from_json(environment.parsed_options.bench_plan)
            SHARE = Share(plan, environment.runner.worker_index, environment)
    except BenchError as error:
        log.error(error.message)
        environment.process_exit_code = 2
        gevent.spawn(environment.runner.quit if environment.web_ui is None else environment.runner.stop)


def hear(environment: Environment, msg: Any, **_: Any) -> None:
    if LEAD and LEAD.hear(**msg.data):
        gevent.spawn(environment.runner.quit if environment.web_ui is None else environment.runner.stop)


@events.test_stopping.add_listener
def send_no_more(environment: Environment, **_: Any) -> None:
    if SHARE:
        SHARE.is_stopping = True


@events.test_stop.add_listener
def stop(environment: Environment, **_: Any) -> None:
    if SHARE:
        SHARE.end(INTERRUPTED)
    if LEAD and environment.web_ui:
        finish(environment)


@events.quitting.add_listener
def leave(environment: Environment, **_: Any) -> None:
    if SHARE:
        environment.runner.stop()
    if LEAD:
        finish(environment)
    elif environment.process_exit_code is None:
        environment.process_exit_code = 0  # a worker's verdict is its lead's


def finish(environment: Environment) -> None:
    assert LEAD is not None
    result = LEAD.result(patience=environment.stop_timeout + 10)
    environment.process_exit_code = verdict(result, environment.parsed_options.attain)
    print(json.dumps({"result": LEAD.plan.out, "complete": result.complete, "exit": environment.process_exit_code}))
