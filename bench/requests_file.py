"""`requests.jsonl`: one line for every request of a run, written as soon as its stage has ended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError
from bench.record import RequestRecord

REQUESTS_FILE = "requests.jsonl"
RECORD: TypeAdapter[RequestRecord] = TypeAdapter(RequestRecord)


def append_requests(folder: Path, records: Iterable[RequestRecord]) -> None:
    with (folder / REQUESTS_FILE).open("a", encoding="utf-8") as file:
        file.writelines(record.line() + "\n" for record in records)


def read_records(folder: Path) -> list[RequestRecord]:
    """Of a result's folder; none where what was measured are no requests. Raises BenchError naming the file, and the
    line and key that is not as the schema says."""
    path = folder / REQUESTS_FILE
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [_record(line, f"{path}, line {number}") for number, line in enumerate(file, 1)]


def _record(line: str, place: str) -> RequestRecord:
    try:
        return RECORD.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BenchError(f"{place}: not a line of requests.jsonl: {key}: {first['msg']}") from error
