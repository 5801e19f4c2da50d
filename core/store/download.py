"""One file over HTTP into a `.part` file, which survives whatever ends the transfer and is gone on from next time.

Invariant: the bytes in a `.part` file are the first ones of the version that its note names by ETag or date. Where the
server has another version by now, or cannot tell, the download begins anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.errors import StoreError
from core.store.disk import require_room
from core.store.part_file import PartFile, Version
from core.store.progress import Progress
from core.store.shown import shown

_MAX_PAUSE = 60.0
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_REMEDIES = {
    401: "It wants a login. For a file of a model hub set HF_TOKEN to a token of yours.",
    403: "You may not have it. For a gated model accept its terms on the hub's page and set HF_TOKEN.",
    404: "There is no such file: check the address.",
    410: "The file was taken away: look for a newer address.",
}


@dataclass(frozen=True)
class Patience:
    """`silence`: seconds without a byte until a transfer counts as broken. `tries`: attempts in a row that may bring
    nothing new. `pause`: seconds before the second one, doubled for each further one."""

    silence: float = 30.0
    tries: int = 5
    pause: float = 1.0


class _Broken(Exception):
    """The transfer ended early; it may go on after `pause` seconds (None: as Patience says)."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


def download(
    url: str,
    part: Path,
    progress: Progress,
    *,
    headers: Mapping[str, str] | None = None,
    patience: Patience | None = None,
) -> None:
    """Make `part` the whole file at `url`; redirects are followed, and Authorization goes to the first host only.

    Raises StoreError where the server refuses, the disk is too small or the tries are used up.
    """
    patience = patience or Patience()
    part.parent.mkdir(parents=True, exist_ok=True)
    with httpx.Client(follow_redirects=True, timeout=patience.silence) as client:
        transfer = _Transfer(client, url, PartFile(part), progress, headers or {})
        failures = 0
        while not transfer.is_complete():
            before = transfer.part.size()
            try:
                transfer.attempt()
            except _Broken as broken:
                failures = 1 if transfer.part.size() > before else failures + 1
                if failures >= patience.tries:
                    raise transfer.given_up(broken) from broken
                pause = broken.pause if broken.pause is not None else patience.pause * 2 ** (failures - 1)
                time.sleep(min(pause, _MAX_PAUSE))


class _Transfer:
    def __init__(
        self, client: httpx.Client, url: str, part: PartFile, progress: Progress, headers: Mapping[str, str]
    ) -> None:
        self.part = part
        self._client = client
        self._url = url
        self._shown = shown(url)
        self._progress = progress
        # Ranges count bytes as they are sent, so nothing may be compressed on the way.
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._is_whole = False

    def is_complete(self) -> bool:
        version = self.part.version_of(self._shown)
        return self._is_whole or (version is not None and version.total == self.part.size())

    def attempt(self) -> None:
        """Ask for what is missing and write it; raises _Broken where another attempt may help."""
        version, offset = self.part.version_of(self._shown), self.part.size()
        headers = dict(self._headers)
        if version is not None and offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": version.validator}
        try:
            with self._client.stream("GET", self._url, headers=headers) as response:
                self._check(response)
                if version is not None and response.status_code == 206:
                    total: int | None = self._continued(response, version)
                else:
                    total = self._begun(response)
                self._receive(response, total)
        except httpx.TransportError as error:
            raise _Broken(str(error) or type(error).__name__) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreError(f"{self._shown}: {error}. Check the address.") from error

    def given_up(self, broken: _Broken) -> StoreError:
        kept = self.part.size() if self.part.version_of(self._shown) else 0
        advice = f"{kept / 1e6:.1f} MB are kept: pull again to go on from there" if kept else "Pull again later"
        return StoreError(
            f"{self._shown} could not be fetched: {broken}. {advice}; check the network if that does not help."
        )

    def _check(self, response: httpx.Response) -> None:
        """Pass a 200 and a 206 only."""
        status = response.status_code
        if status == 416:
            self.part.forget()
            raise _Broken("the file became shorter while it was fetched", pause=0)
        if status in _TEMPORARY:
            raise _Broken(f"the server answered {status} {response.reason_phrase}", _asked_pause(response))
        if status not in (200, 206):
            remedy = _REMEDIES.get(status, "Check the address.")
            raise StoreError(f"{self._shown}: the server answered {status} {response.reason_phrase}. {remedy}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise StoreError(f"{self._shown}: the server only sends it compressed; fetch it by other means.")

    def _begun(self, response: httpx.Response) -> int | None:
        """A whole file follows: the size of it."""
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        etag = response.headers.get("ETag", "")
        # A weak ETag does not promise equal bytes.
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        self.part.begin(Version(self._shown, validator, total) if validator else None)
        return total

    def _continued(self, response: httpx.Response, version: Version) -> int:
        """The size of the whole, if `response` goes on with the very version that we have the start of."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        etag = response.headers.get("ETag", version.validator)
        is_other = version.validator.startswith('"') and etag != version.validator
        if is_other or not match or int(match[1]) != self.part.size() or version.total not in (None, int(match[2])):
            self.part.forget()
            raise _Broken("the file changed while it was fetched", pause=0)
        return int(match[2])

    def _receive(self, response: httpx.Response, total: int | None) -> None:
        size, description = self.part.size(), f"download {httpx.URL(self._url).path.rpartition('/')[2]}"
        if total is not None:
            require_room(self.part.path.parent, total - size)
        self._progress(description, size, total)
        with self.part.path.open("ab", buffering=0) as file:
            for block in response.iter_raw():
                file.write(block)
                size += len(block)
                self._progress(description, size, total)
        if total is not None and size != total:
            raise _Broken(f"the connection ended after {size} of {total} bytes")
        self._is_whole = True


def _asked_pause(response: httpx.Response) -> float | None:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None
