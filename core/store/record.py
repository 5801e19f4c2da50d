"""What a pull knew of the files it brought, kept in a hidden file beside them: for whoever asks which version this is.

`.NAME.pulled.json` holds the source, the commit it was taken from, and of each file its SHA-256 and who vouches for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileRecord:
    """`verified_by` is None where nobody vouches for the SHA-256."""

    sha256: str
    verified_by: str | None


@dataclass(frozen=True)
class Record:
    """`source` as it may be shown. `files` has the paths of a folder's files below it, or "." for a single one."""

    source: str
    revision: str | None
    files: Mapping[str, FileRecord]


def read_record(target: Path) -> Record | None:
    """None where no pull brought `target`, or nobody can read what it wrote."""
    try:
        values = json.loads(_place(target).read_bytes())
        files = {name: FileRecord(**file) for name, file in values["files"].items()}
        return Record(values["source"], values["revision"], files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(target: Path, record: Record) -> None:
    """Keeps what is known of files that `record` does not name."""
    if earlier := read_record(target):
        record = Record(record.source, record.revision, {**earlier.files, **record.files})
    _place(target).write_text(json.dumps(asdict(record), indent=1) + "\n")


def forget_record(target: Path) -> None:
    _place(target).unlink(missing_ok=True)


def _place(target: Path) -> Path:
    return target.with_name(f".{target.name}.pulled.json")
