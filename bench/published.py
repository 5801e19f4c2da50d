"""The JSON schemas of what the bench reads and writes, for programs that are not ours: `python -m bench.published`
writes them into `bench/schemas` again after a model has changed. Reading checks the same models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.requests_file import RECORD
from bench.result import Result
from bench.scenario import Scenario

FOLDER = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """By file name. Of results and requests as they are written, of scenarios as they are read."""
    return {
        "result.schema.json": _titled("bench.result/1", Result.model_json_schema(mode="serialization")),
        "requests.schema.json": _titled("A line of requests.jsonl", RECORD.json_schema(mode="serialization")),
        "scenario.schema.json": _titled("bench.scenario/1", Scenario.model_json_schema(mode="validation")),
    }


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DIALECT, **schema, "title": title}


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text(schema), encoding="utf-8")
