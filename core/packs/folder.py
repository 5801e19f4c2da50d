"""The folder of a model's packs: which of them can be used, why the others cannot, and how much room they may take."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from core.config.model import ModelConfig
from core.engine.prefix import StoredPrefix
from core.errors import StoreError
from core.packs.fingerprint import Fingerprint, fingerprint
from core.packs.pack_file import SUFFIX, FileState, PackHeader, check_pack, read_header, read_pack, write_pack
from core.store.disk import explained_disk_errors

logger = logging.getLogger("warmfn.packs")

DEFAULT_MB = 4000
"""Megabytes that a folder of packs may take."""

DIGITS = 16
"""Of the hash in a pack's name."""

SERVED = "served"
"""The `source` of a pack that was made of prompts while serving; else it is a key of the YAML."""


@dataclass(eq=False)
class Pack:
    """A pack whose header was good when the folder was looked through."""

    path: Path
    header: PackHeader
    _checked: FileState | None = None

    def __str__(self) -> str:
        return str(self.path)

    @property
    def tokens(self) -> list[int]:
        return self.header.tokens

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def is_ready(self) -> bool:
        """Whether its cells have been found good, so that reading them takes no longer than it must."""
        return self._checked is not None

    def check(self) -> bool:
        """Compare the cells with their SHA-256. False, and a warning, if the file is not what it was."""
        try:
            header, checked = check_pack(self.path)
        except StoreError as error:
            logger.warning("%s", error.message)
            return False
        self._checked = checked if self._is_same(header) else None
        return self.is_ready

    def read(self) -> bytearray | None:
        """The cells; None, and a warning, if the file is not what it was."""
        try:
            header, cells, state = read_pack(self.path, self._checked)
        except StoreError as error:
            logger.warning("%s", error.message)
            return None
        if not self._is_same(header):
            return None
        self._checked = self._used(state)
        return cells

    def _used(self, state: FileState) -> FileState:
        """The file's state with its use recorded, which a read-only folder does not keep."""
        now = time.time_ns()
        try:
            os.utime(self.path, ns=(now, now))
        except OSError:
            return state
        return replace(state, changed_ns=now)

    def _is_same(self, header: PackHeader) -> bool:
        if header != self.header:
            logger.warning("%s: another pack was written in its place: restart the server to use it", self)
        return header == self.header


class PackFolder:
    """`layout` is that of the context which is to read the packs; None says nothing of it, for whoever only looks."""

    def __init__(self, config: ModelConfig, layout: Mapping[str, Any] | None = None) -> None:
        """Raises ConfigFault where there are no weights."""
        self._weights = config.weights
        self._model = config.name
        self._layout = layout
        self._max_bytes = (config.prompt_cache_mb or DEFAULT_MB) * 10**6
        beside = self._weights.with_name(f"{self._weights.name}.packs")
        self.path = config.root / config.prompt_cache_path if config.prompt_cache_path else beside

    def packs(self, *, thoroughly: bool = False) -> tuple[list[Pack], list[str]]:
        """Those that can be used, the newest first, and what is wrong with the others. Cells are read only if it is to
        be done `thoroughly`, which takes as long as restoring them all."""
        good, faults = [], []
        known: dict[Fingerprint, bool] = {}
        for path in self._files():
            try:
                header = check_pack(path)[0] if thoroughly else read_header(path)
            except StoreError as error:
                faults.append(error.message)
                continue
            if header.fingerprint not in known:
                known[header.fingerprint] = header.fingerprint.is_of(self._weights)
            if reason := self._staleness(header, is_ours=known[header.fingerprint]):
                faults.append(f"{path}: this pack is stale, {reason}: run `warmfn pack {self._model}` again")
            elif header.model == self._model:
                good.append(Pack(path, header))
        return good, faults

    def write(
        self, tokens: list[int], source: str, state: bytearray, seconds: float, keep: Collection[Path] = ()
    ) -> Pack:
        """A new pack; where room is short, this model's other packs give way, but for the files in `keep`.

        `seconds` is what computing the tokens took. Raises StoreError.
        """
        assert self._layout is not None
        path = self.place(tokens)
        header = PackHeader(
            self._model, source, tokens, fingerprint(self._weights), self._layout, len(state), round(seconds, 3)
        )
        with explained_disk_errors(self.path):
            self._make_room(len(state), path, keep)
        write_pack(path, header, state)
        return Pack(path, header)

    def has(self, prefix: StoredPrefix) -> bool:
        """Whether the pack of these tokens is still there: others may have needed the room."""
        return self.place(prefix.tokens).exists()

    def place(self, tokens: list[int]) -> Path:
        """Where the pack of these tokens lies."""
        digest = hashlib.sha256(json.dumps(tokens).encode()).hexdigest()[:DIGITS]
        return self.path / f"{self._stem}-{digest}{SUFFIX}"

    def require_writable(self) -> None:
        """Make the folder. Raises StoreError where nothing can be written into it."""
        with explained_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.path):
                pass

    @property
    def _stem(self) -> str:
        """How the names of this model's packs begin."""
        return re.sub(r"[^\w.-]+", "_", self._model)

    def _files(self) -> list[Path]:
        """Newest first."""
        found = []
        with contextlib.suppress(OSError):
            name = re.compile(rf"{re.escape(self._stem)}-[0-9a-f]{{{DIGITS}}}{re.escape(SUFFIX)}")
            for entry in os.scandir(self.path):
                if name.fullmatch(entry.name):
                    found.append((entry.stat().st_mtime, Path(entry.path)))
        return [path for _, path in sorted(found, reverse=True)]

    def _staleness(self, header: PackHeader, *, is_ours: bool) -> str | None:
        """Why a whole pack cannot be used."""
        if not is_ours:
            return "it was made from other weights"
        for key in sorted({*header.layout, *self._layout} if self._layout is not None else ()):
            then, now = header.layout.get(key), (self._layout or {}).get(key)
            if then != now:
                return f"it was made with {key} {then}, and here it is {now}"
        return None

    def _make_room(self, num_bytes: int, place: Path, keep: Collection[Path]) -> None:
        """For a pack at `place`, whose earlier one no longer counts."""
        sizes = {path: path.stat().st_size for path in self.path.glob(f"*{SUFFIX}") if path != place}
        victims = [path for path in self._files() if path in sizes and path not in keep]
        victims.sort(key=_worth, reverse=True)
        while (total := sum(sizes.values()) + num_bytes) > self._max_bytes:
            if not victims:
                raise StoreError(
                    f"the packs in {self.path} would take {total / 1e6:.0f} MB, and prompt_cache_mb is "
                    f"{self._max_bytes // 10**6}: raise it, or remove some"
                )
            victim = victims.pop()
            logger.info("%s is removed: there is no room for all packs, and it is worth least", victim)
            victim.unlink(missing_ok=True)
            del sizes[victim]


def _worth(path: Path) -> float:
    """Seconds that each byte of a pack saves, over the time since it was of use."""
    try:
        header = read_header(path)
    except StoreError:
        return 0.0
    unused = max(time.time() - path.stat().st_mtime, 1.0)
    return header.prefill_seconds / header.state_bytes / unused
