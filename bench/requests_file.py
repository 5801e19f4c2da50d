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


def read_requests(folder: Path) -> list[RequestRecord]:
    """Raises BenchError naming the file, and the line and key that is not as the schema says."""
    path = folder / REQUESTS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    return [_record(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _record(line: str, place: str) -> RequestRecord:
    try:
        return RECORD.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BenchError(f"{place}: not a line of requests.jsonl: {key}: {first['msg']}") from error
