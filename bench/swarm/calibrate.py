"""Drive locust's client against the scripts: it is another client than the bench's own, with an error of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE, Popen

import gevent
from locust.contrib.fasthttp import FastHttpSession

from bench.calibrate.calibration import Calibration
from bench.calibrate.plays import GROUPS, SERVER, Play, compare, new_record, plays
from bench.calibrate.scripts import Script
from bench.errors import BenchError
from bench.record import RequestRecord
from bench.reply import read_stream
from bench.request import request_path, streamed_request
from bench.scenario import Workload
from bench.swarm.stream import post
from bench.transport.exchange import Exchange

CHAT = Workload()


def calibrate(http: FastHttpSession, folder: Path) -> Calibration:
    """About three seconds. The server's log goes into `folder`. Raises BenchError if it ends before its time."""
    path = folder / "calibration.log"
    with (
        path.open("wb") as log,
        Popen(SERVER, stdin=PIPE, stdout=PIPE, stderr=log, text=True, start_new_session=True) as server,
    ):  # it ends with its standard input
        url = f"http://127.0.0.1:{int(_line(server, path))}/v1{request_path(CHAT)}"
        return compare([play for group in GROUPS for play in _play(http, url, group, server, path)])


def _play(http: FastHttpSession, url: str, scripts: Sequence[Script], server: Popen[str], log: Path) -> list[Play]:
    asking = [gevent.spawn(_ask, http, url, script, str(number)) for number, script in enumerate(scripts)]
    lines = [_line(server, log) for _ in scripts]
    return plays(scripts, [greenlet.get() for greenlet in asking], lines)


def _ask(http: FastHttpSession, url: str, script: Script, prompt: str) -> RequestRecord:
    record, exchange = new_record(script), Exchange()
    body = streamed_request(CHAT, model=script.name, prompt=prompt, max_tokens=record.osl_req, extra={})
    post(http, url, json.dumps(body), exchange)
    read_stream(exchange, record)
    return record


def _line(server: Popen[str], log: Path) -> str:
    assert server.stdout is not None
    if not (line := server.stdout.readline()):
        raise BenchError(f"the calibration's server ended: {log.read_text(errors='replace')[-2000:].strip()}")
    return line
