from __future__ import annotations

import json
import os
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store import disk
from core.store.download import Patience, download
from core.store.progress import silent
from tests.web import Handler, Web, answer, ignore_range, stall, truncate

WEIGHTS = os.urandom(5000)
QUICK = Patience(silence=0.2, tries=3, pause=0.001)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.gguf": WEIGHTS}) as web:
        yield web


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".w.gguf.part"


def fetch(web: Web, part: Path, path: str = "/w.gguf") -> bytes:
    download(web.url + path, part, silent, patience=QUICK)
    return part.read_bytes()


def test_a_file_arrives_and_its_progress_is_told(web: Web, part: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    download(web.url + "/w.gguf", part, lambda *step: told.append(step))
    assert part.read_bytes() == WEIGHTS
    assert told[0] == ("download w.gguf", 0, 5000)
    assert told[-1] == ("download w.gguf", 5000, 5000)


@pytest.mark.parametrize("fault", [truncate, stall])
def test_a_transfer_that_ends_early_is_gone_on_from(web: Web, part: Path, fault: Callable[[Handler], None]) -> None:
    web.faults = [fault]
    assert fetch(web, part) == WEIGHTS
    assert web.ranges() == [None, "bytes=1000-"]
    assert web.asked[1].headers["if-range"].startswith('"')


def test_new_bytes_renew_the_patience(web: Web, part: Path) -> None:
    web.faults = [truncate, truncate, truncate, truncate]
    assert fetch(web, part) == WEIGHTS


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(web: Web, part: Path, status: int) -> None:
    web.faults = [answer(status), answer(status, {"Retry-After": "0"})]
    assert fetch(web, part) == WEIGHTS


def test_a_server_that_stays_in_trouble_is_given_up(web: Web, part: Path) -> None:
    web.faults = [truncate] + [answer(500)] * 5
    with pytest.raises(StoreError, match=r"w\.gguf could not be fetched: .*500.*MB are kept: pull again") as caught:
        fetch(web, part)
    assert web.url in caught.value.message
    assert len(part.read_bytes()) == 1000
    web.faults = []
    assert fetch(web, part) == WEIGHTS
    assert web.ranges()[-1] == "bytes=1000-"


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "HF_TOKEN"), (403, "accept its terms"), (404, "check the address"), (418, "418")]
)
def test_a_refusal_names_the_address_and_the_remedy(web: Web, part: Path, status: int, remedy: str) -> None:
    web.faults = [answer(status)]
    with pytest.raises(StoreError, match=remedy) as caught:
        fetch(web, part)
    assert f"{web.url}/w.gguf" in caught.value.message
    assert len(web.asked) == 1


def test_a_file_that_changed_meanwhile_is_fetched_anew(web: Web, part: Path) -> None:
    web.faults = [truncate] + [answer(500)] * 2
    with pytest.raises(StoreError):
        fetch(web, part)
    web.files["/w.gguf"] = changed = os.urandom(5000)
    assert fetch(web, part) == changed


def test_a_file_that_became_shorter_is_fetched_anew(web: Web, part: Path) -> None:
    web.faults = [truncate, answer(416)]
    assert fetch(web, part) == WEIGHTS
    assert web.ranges() == [None, "bytes=1000-", None]


def test_a_server_that_goes_on_with_another_version_is_not_believed(web: Web, part: Path) -> None:
    def other_version(handler: Handler) -> None:
        handler.status(206, {"ETag": '"other"', "Content-Range": "bytes 1000-4999/5000", "Content-Length": "4000"})
        handler.wfile.write(bytes(4000))

    web.faults = [truncate, other_version]
    assert fetch(web, part) == WEIGHTS


def test_a_server_that_ignores_ranges_sends_all_again(web: Web, part: Path) -> None:
    web.faults = [truncate, ignore_range]
    assert fetch(web, part) == WEIGHTS


def test_without_a_version_to_compare_nothing_is_gone_on_from(web: Web, part: Path) -> None:
    web.etags, web.faults = False, [truncate]
    assert fetch(web, part) == WEIGHTS
    assert web.ranges() == [None, None]


def test_a_date_serves_as_well_as_an_etag(web: Web, part: Path) -> None:
    web.etags, web.faults = False, [truncate]
    web.headers["/w.gguf"] = {"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}
    fetch(web, part)
    assert web.asked[1].headers["if-range"] == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_what_is_complete_is_not_asked_for_again(web: Web, part: Path) -> None:
    fetch(web, part)
    assert fetch(web, part) == WEIGHTS
    assert len(web.asked) == 1


def test_a_part_of_another_address_is_not_gone_on_from(web: Web, part: Path) -> None:
    web.files["/other.gguf"] = other = os.urandom(3000)
    web.faults = [truncate] + [answer(500)] * 3
    with pytest.raises(StoreError):
        fetch(web, part)
    web.faults = []
    assert fetch(web, part, "/other.gguf") == other


def test_an_unreadable_note_means_a_new_beginning(web: Web, part: Path) -> None:
    part.write_bytes(b"x" * 70)
    part.with_name(part.name + ".json").write_text(json.dumps({"strange": 1}))
    assert fetch(web, part) == WEIGHTS


def test_a_redirect_is_followed_and_a_foreign_host_never_sees_the_login(web: Web, part: Path) -> None:
    with Web({"/real": WEIGHTS}) as foreign:
        web.faults = [answer(302, {"Location": f"{foreign.url}/real"})]
        login = {"Authorization": "Bearer secret"}
        download(f"{web.url}/w.gguf", part, silent, headers=login, patience=QUICK)
    assert part.read_bytes() == WEIGHTS
    assert web.asked[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in foreign.asked[0].headers


def test_no_room_is_said_before_anything_is_written(web: Web, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage(10**6, 10**6 - 100, 100))
    with pytest.raises(StoreError, match="no room on the disk"):
        fetch(web, part)
    assert not part.exists()


def test_only_what_is_missing_needs_room(web: Web, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web.faults = [truncate] + [answer(500)] * 3
    with pytest.raises(StoreError):
        fetch(web, part)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: usage(10**6, 10**6 - 4000, 4000))
    web.faults = []
    assert fetch(web, part) == WEIGHTS


def test_ctrl_c_keeps_what_has_arrived(web: Web, part: Path) -> None:
    def interrupt(description: str, done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(web.url + "/w.gguf", part, interrupt, patience=QUICK)
    assert WEIGHTS.startswith(part.read_bytes())
    assert part.stat().st_size > 0
    assert fetch(web, part) == WEIGHTS


def test_an_address_that_nobody_answers_is_named(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9/w could not be fetched: .*check the network"):
        download("http://127.0.0.1:9/w", part, silent, patience=QUICK)


def test_compressed_bytes_are_refused(web: Web, part: Path) -> None:
    web.headers["/w.gguf"] = {"Content-Encoding": "gzip"}
    with pytest.raises(StoreError, match="only sends it compressed"):
        fetch(web, part)


def test_the_note_beside_a_part_does_not_tell_a_key(web: Web, part: Path) -> None:
    web.faults = [truncate] + [answer(500)] * 5
    with pytest.raises(StoreError) as caught:
        fetch(web, part, "/w.gguf?token=SECRET")
    assert "SECRET" not in caught.value.message
    assert "SECRET" not in part.with_name(part.name + ".json").read_text()
    web.faults = []
    assert fetch(web, part, "/w.gguf?token=SECRET") == WEIGHTS
    assert web.ranges()[-1] == "bytes=1000-"
