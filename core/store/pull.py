"""Pull: make a gallery entry's files present in the models folder.

Invariant: a target is either as it was before or whole and of the pinned hash. Files are fetched and verified in a
hidden folder within the models folder, then renamed into place; that folder goes whatever happens, Ctrl-C included.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import StoreError
from core.store.disk import explained_disk_errors, sha256_of
from core.store.gallery import Gallery, Item, PinnedFile
from core.store.progress import Progress, silent
from core.store.sources import fetch


def pull(name: str, models: Path, gallery: Gallery, progress: Progress = silent) -> list[Path]:
    """Put the files of `name` below `models` and return their paths.

    Files that are there with the right hash are kept, without any network; a file with another hash is replaced.
    Raises StoreError for an unknown name, a failed download, a wrong hash or a full disk.
    """
    entry = gallery.entry(name)
    with explained_disk_errors(models):
        for item in entry.files:
            _pull_item(item, models, gallery, progress)
    return [models / file.target for item in entry.files for file in item.files()]


def _pull_item(item: Item, models: Path, gallery: Gallery, progress: Progress) -> None:
    missing = [file for file in item.files() if not _is_present(models / file.target, file.sha256)]
    if not missing:
        return
    models.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".partial-", dir=models) as scratch:
        fetched = fetch(item.source, [file.member for file in missing], Path(scratch), progress)
        for file in missing:
            _verify(fetched[file.member], file, item.source, gallery)
        for file in missing:
            target = models / file.target
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(fetched[file.member], target)


def _is_present(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _verify(path: Path, file: PinnedFile, source: str, gallery: Gallery) -> None:
    found = sha256_of(path)
    if found != file.sha256:
        raise StoreError(
            f"{file.member} of {source} is not the file that {gallery.path} pins, so it was thrown away: "
            f"expected SHA-256 {file.sha256}, got {found}. Check the package index or mirror it came from; "
            "change the hash in the gallery only if you trust the new file."
        )
