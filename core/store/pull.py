"""Pull: make the files of a gallery entry, or of one source, present in the models folder.

Invariant: a target is either as it was before or whole and of the hash that is known for it. Files arrive in hidden
`.part` files beside their targets, are verified there, then renamed. What a broken-off download left there is gone on
from by the next one; what turned out wrong is removed. Of several pulls of one target, in any process, one works.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import StoreError
from core.store.disk import explained_disk_errors, git_blob_id, sha256_of
from core.store.gallery import ONLY_FILE, Gallery, GalleryFile, Item, single_item
from core.store.part_file import PartFile
from core.store.progress import Progress, silent
from core.store.record import FileRecord, Record, read_record, write_record
from core.store.shown import shown
from core.store.sources import canonical, fetch, file_name
from core.store.transfer import Origin, Wanted

HUB_CHECKSUM = "the hub's own checksum"
GIT_ID_LENGTH = 40


@dataclass(frozen=True)
class Pulled:
    """One file that is in its place now.

    `is_new` tells whether this pull brought it. `verified_by` names who vouches for its contents; None means nobody:
    then `sha256` is what was computed, None for a file that was there already and of which no pull knows.
    """

    path: Path
    is_new: bool
    sha256: str | None
    verified_by: str | None


def pull(name: str, models: Path, gallery: Gallery, progress: Progress = silent) -> list[Pulled]:
    """Put the files of `name` below `models`.

    A file that is there is kept, without any network, if it has the gallery's hash, or if there is none; with another
    hash it is replaced. Raises StoreError for an unknown name, a failed download, a wrong hash or a full disk.
    """
    entry = gallery.entry(name)
    return [file for item in entry.files for file in pull_item(item, models, progress, pinned_by=str(gallery.path))]


def pull_source(source: str, models: Path, progress: Progress = silent) -> Pulled:
    """Put the one file at `source` ("hf:owner/repo/file", "https://...", "file:...") below `models` by its own name."""
    source = canonical(source)
    (pulled,) = pull_item(single_item(source, file_name(source)), models, progress)
    return pulled


def unfinished_bytes(models: Path) -> int:
    """How much of broken-off downloads waits below `models` to be gone on from."""
    parts = [path for part in models.rglob(".*.part") for path in (part, *part.rglob("*"))]
    return sum(path.stat().st_size for path in parts if path.is_file())


def pull_item(item: Item, models: Path, progress: Progress = silent, *, pinned_by: str = "") -> list[Pulled]:
    """Put the files of `item` below `models`, as `pull` does; `pinned_by` is the gallery that has their hashes."""
    with explained_disk_errors(models):
        job = _Job(item, models / item.target, pinned_by, progress)
        if job.missing():
            job.target.parent.mkdir(parents=True, exist_ok=True)
            lock = _hidden(job.target, "lock")
            with _alone(lock, f"wait for another pull of {job.target.name}", progress):
                if missing := job.missing():
                    job.fetch(missing)
        return job.results()


class _Job:
    """One item on its way to `target`; `present` is what of it is in place."""

    def __init__(self, item: Item, target: Path, pinned_by: str, progress: Progress) -> None:
        self.target = target
        self._item = item
        self._source = shown(item.source)
        self._pinned_by = pinned_by
        self._progress = progress
        self._staging = _hidden(target, "part")
        self._present: dict[str, Pulled] = {}

    def results(self) -> list[Pulled]:
        return [self._present[file.name] for file in self._item.wanted()]

    def missing(self) -> list[GalleryFile]:
        """What has to be fetched; raises StoreError where another source's file is in the way."""
        record = read_record(self.target)
        missing = []
        for file in self._item.wanted():
            path = self.target / file.name
            known = record.files.get(file.name) if record else None
            if not path.is_file() or (file.sha256 and sha256_of(path, self._progress) != file.sha256):
                missing.append(file)
            elif file.sha256:
                self._present[file.name] = Pulled(path, False, file.sha256, self._pinned_by)
            elif record and record.source != self._source:
                raise StoreError(
                    f"{path} is there already and came from {record.source}, not from {self._source}. Move it away, "
                    "then pull again."
                )
            else:
                sha256, verified_by = (known.sha256, known.verified_by) if known else (None, None)
                self._present[file.name] = Pulled(path, False, sha256, verified_by)
        return missing

    def fetch(self, missing: Sequence[GalleryFile]) -> None:
        """Bring the files into the staging place, verify all, then move all."""
        wanted = [Wanted(file.member, self._staging / file.name) for file in missing]
        origins = fetch(self._item.source, wanted, self._progress)
        try:
            known = {file.name: self._verify(file, origins[file.member]) for file in missing}
        except StoreError:
            _remove(self._staging)
            raise
        for name, file in known.items():
            path = self.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._staging / name, path)
            self._present[name] = Pulled(path, True, file.sha256, file.verified_by)
        write_record(self.target, Record(self._source, origins[missing[0].member].revision, known))
        _remove(self._staging)

    def _verify(self, file: GalleryFile, origin: Origin) -> FileRecord:
        """Raises StoreError if the fetched file is not what the gallery or the hub says."""
        part = self._staging / file.name
        name = self.target.name if file.name == ONLY_FILE else file.name
        found, stated = sha256_of(part, self._progress, name), origin.checksum
        what = f"{file.member or name} of {self._source}"
        if file.sha256 and found != file.sha256:
            raise StoreError(
                f"{what} is not the file that {self._pinned_by} pins, so it was thrown away: expected SHA-256 "
                f"{file.sha256}, got {found}. Check the index or mirror it came from; change the hash in the gallery "
                "only if you trust the new file."
            )
        if stated and stated != (git_blob_id(part) if len(stated) == GIT_ID_LENGTH else found):
            raise StoreError(
                f"{what} does not have the checksum that the hub states ({stated}), so it was thrown away. Pull again."
            )
        return FileRecord(found, self._pinned_by if file.sha256 else HUB_CHECKSUM if stated else None)


@contextmanager
def _alone(path: Path, waiting: str, progress: Progress) -> Iterator[None]:
    """Hold the lock at `path`. The system frees it when its process dies, so it never outlives its owner.

    Its file is removed while it is held: whoever has waited for that file sees that it is gone and makes a new one.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(waiting, 0, None)
        lock.acquire()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _hidden(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{kind}")


def _remove(staging: Path) -> None:
    if staging.is_dir():
        shutil.rmtree(staging)
    else:
        PartFile(staging).forget()
