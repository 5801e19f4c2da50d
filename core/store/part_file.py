"""The start of a file that is still to come, and a note beside it of which version of the file that is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """`url` is as it may be shown. `validator`: the server's ETag or date for this version of it; `total`: its size in
    bytes, if it told."""

    url: str
    validator: str
    total: int | None


class PartFile:
    """Invariant: without a note, nobody knows what the bytes belong to, and they are not gone on from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(path.name + ".json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version_of(self, url: str) -> Version | None:
        """The version of `url` whose start lies here; None if there is none."""
        try:
            version = Version(**json.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return version if version.url == url and self.path.exists() else None

    def begin(self, version: Version | None) -> None:
        """What is written from now on is the start of `version`; None is one that cannot be told from others."""
        self.forget()
        if version is not None:
            self._note.write_text(json.dumps(asdict(version)))

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
