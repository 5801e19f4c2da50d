"""Runs against stub servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bench.requests_file import REQUESTS_FILE
from bench.result import Result, read_result
from bench.run import Run
from bench.scenario import Scenario
from bench.targets.make import make_targets
from tests.bench_stub import DONE, ROLE, StubServer, delta, usage

ANSWER = [ROLE, delta(content="a"), delta(content="b", finish="length"), usage(40, 2), DONE]


def scenario(*urls: str, warmup: int = 1) -> Scenario:
    return Scenario.model_validate(
        {
            "schema": "bench.scenario/1",
            "name": "stub",
            "model": "m",
            "targets": [{"name": f"t{i}", "kind": "url", "url": url} for i, url in enumerate(urls)],
            "load": [{"name": "two", "concurrency": 2, "requests": 5, "prompts": {"isl": 20, "osl": 2}}],
            "measure": {"rounds": 2, "warmup": warmup},
        }
    )


def embedding_scenario(*urls: str) -> Scenario:
    content = scenario(*urls).as_dict()
    stage = {"name": "batches", "concurrency": 2, "requests": 4, "prompts": {"isl": 20, "batch": 3}}
    return Scenario.model_validate(content | {"workload": {"api": "embeddings"}, "load": [stage]})


def new_run(wanted: Scenario, out: Path) -> Run:
    targets = make_targets(wanted, models=out, deployment=None, out=out)
    return Run(wanted, targets, out, lambda words, advance: None)


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / REQUESTS_FILE).read_text().splitlines()]


def measured_run(out: Path) -> Result:
    async def measure() -> None:
        async with StubServer(ANSWER).running() as one, StubServer(ANSWER).running() as other:
            run = new_run(scenario(one.url, other.url), out)
            await run.measure()
            assert [body["messages"] for body in one.bodies[:2]] == [body["messages"] for body in other.bodies[:2]]
            run.result(None).write(out)

    asyncio.run(measure())
    return read_result(out)
