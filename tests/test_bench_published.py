"""The published schemas, and that what the bench writes and reads keeps to them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from bench.errors import BenchError
from bench.published import FOLDER, schemas, text
from bench.record import RequestRecord
from bench.requests_file import append_requests, read_records
from tests.bench_runs import measured_run

SCENARIOS = Path(__file__).parents[1] / "bench/scenarios"


@pytest.mark.parametrize("name", schemas())
def test_the_published_schemas_are_those_of_the_models(name: str) -> None:
    assert (FOLDER / name).read_text() == text(schemas()[name]), "run `python -m bench.published`"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_committed_scenario_keeps_to_the_schema(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), schemas()["scenario.schema.json"])


def test_a_written_result_and_its_requests_keep_to_their_schemas(tmp_path: Path) -> None:
    measured_run(tmp_path)
    jsonschema.validate(json.loads((tmp_path / "result.json").read_text()), schemas()["result.schema.json"])
    for line in (tmp_path / "requests.jsonl").read_text().splitlines():
        jsonschema.validate(json.loads(line), schemas()["requests.schema.json"])


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    record = RequestRecord("t", "s", 0, 1, 20, 2, 3, chunks=[(4, None), (5, 1)], chars=[1, 2])
    append_requests(tmp_path, [record, record])
    assert read_records(tmp_path) == [record, record]


def test_a_line_that_is_none_is_told_with_file_line_and_key(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []
    append_requests(tmp_path, [RequestRecord("t", "s", 0, 1, 20, 2, 3)])
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"target": "t"}\n')
    with pytest.raises(BenchError, match=r"requests\.jsonl, line 2: .*stage: Field required"):
        read_records(tmp_path)
