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
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import gevent
from gevent import GreenletExit
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from bench.commands.options import EXIT_INTERRUPTED, out_folder
from bench.errors import BenchError
from bench.load.adhoc import adhoc_scenario
from bench.load.lead import Lead, verdict
from bench.load.shares import Plan
from bench.record import INTERRUPTED, RequestRecord
from bench.reply import read_stream
from bench.request import streamed_request
from bench.stages import Closed
from bench.swarm import statistics
from bench.swarm.calibrate import calibrate
from bench.swarm.options import add_options, as_load_options, settle
from bench.swarm.share import DONE, Share
from bench.swarm.stream import post
from bench.transport.exchange import Exchange
from bench.workload import Prompt

log = logging.getLogger("bench")
LONGEST_SILENCE = 900.0
"""A long prompt on a small CPU; locust's own 60 s would call it a failure."""

statistics.keep_tenths()
events.init_command_line_parser.add_listener(add_options)

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
            share.rows.write(record)
            statistics.show(self.environment, record)


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        return
    settle(environment)
    environment.runner.register_message(DONE, hear)
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


def _lead(environment: Environment) -> Lead:
    """Starts when every worker has a user. Raises BenchError for options that make no load."""
    runner, out = environment.runner, environment.parsed_options.out
    if runner.target_user_count < runner.worker_count:
        raise BenchError(f"{runner.worker_count} workers need a user each: -u {runner.worker_count} or more")
    scenario = adhoc_scenario(as_load_options(environment))
    scenario.targets[0].api_key()  # where there is none, that is told here and not by every worker
    spawning = 0.2 if runner.worker_count == 1 else 1 + runner.worker_count / environment.parsed_options.spawn_rate
    folder = out_folder(Path(out) if out else None, "locust")
    log.info("calibrating the client")  # in this process: the workers' are of this host, and idle meanwhile
    Client.host = environment.host  # as locust does a moment later
    calibration = calibrate(Client(environment).client, folder)
    return Lead(scenario, calibration, workers=runner.worker_count, starts_in=spawning, out=folder)


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
