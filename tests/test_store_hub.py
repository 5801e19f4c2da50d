"""A stand-in of the hub's HTTP API: what huggingface_hub asks of it, and the storage that it redirects to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store.gallery import Item
from core.store.hub import split_locator
from core.store.pull import HUB_CHECKSUM, pull_item, pull_source
from core.store.record import read_record
from tests.web import Web, truncate

WEIGHTS = os.urandom(5000)
CONFIG = b'{"hidden_size": 3}'
COMMIT = "c" * 40
REPO = "/acme/tiny-gguf/resolve"


class Hub:
    """One repository with a large file, which lies in a storage elsewhere, and a small one."""

    def __init__(self, web: Web, storage: Web) -> None:
        self.web = web
        self.storage = storage
        storage.files["/blobs/1"] = WEIGHTS
        self.publish(hashlib.sha256(WEIGHTS).hexdigest())
        small = {"X-Repo-Commit": COMMIT, "ETag": f'"{_git_blob(CONFIG)}"'}
        for revision in ("main", COMMIT):
            web.files[f"{REPO}/{revision}/1_Pooling/config.json"] = CONFIG
            web.headers[f"{REPO}/{revision}/1_Pooling/config.json"] = small
        web.etags = False

    def publish(self, sha256: str) -> None:
        headers = {
            "Location": f"{self.storage.url}/blobs/1?signature=1",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(WEIGHTS)),
        }
        for revision in ("main", "v1", COMMIT):
            self.web.answers[f"{REPO}/{revision}/w.gguf"] = (302, headers)


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Web() as web, Web() as storage:
        monkeypatch.setenv("HF_ENDPOINT", web.url)
        yield Hub(web, storage)


def test_a_file_is_taken_from_the_commit_and_verified_by_the_hubs_checksum(hub: Hub, tmp_path: Path) -> None:
    pulled = pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)
    assert pulled.path.read_bytes() == WEIGHTS
    assert (pulled.is_new, pulled.verified_by) == (True, HUB_CHECKSUM)
    assert pulled.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    record = read_record(tmp_path / "w.gguf")
    assert record is not None
    assert record.revision == COMMIT
    assert hub.web.asked[-1].path == f"{REPO}/{COMMIT}/w.gguf"


@pytest.mark.parametrize(
    "source",
    [
        "hf:acme/tiny-gguf/w.gguf@v1",
        "hf://acme/tiny-gguf/w.gguf@v1",
        "huggingface://acme/tiny-gguf/w.gguf@v1",
        "https://huggingface.co/acme/tiny-gguf/resolve/v1/w.gguf?download=true",
        "https://huggingface.co/acme/tiny-gguf/blob/v1/w.gguf",
    ],
)
def test_every_spelling_of_a_revision_is_understood(hub: Hub, tmp_path: Path, source: str) -> None:
    pull_source(source, tmp_path)
    assert hub.web.asked[0].path == f"{REPO}/v1/w.gguf"
    assert (tmp_path / "w.gguf").read_bytes() == WEIGHTS


def test_the_token_goes_to_the_hub_and_to_nobody_else(hub: Hub, tmp_path: Path) -> None:
    pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)
    assert {one.headers.get("authorization") for one in hub.web.asked} == {"Bearer hf_secret"}
    assert all("authorization" not in one.headers for one in hub.storage.asked)


def test_a_broken_transfer_goes_on_where_it_ended(hub: Hub, tmp_path: Path) -> None:
    hub.storage.faults = [truncate]
    pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)
    assert hub.storage.ranges() == [None, "bytes=1000-"]


def test_a_file_that_is_not_the_published_one_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.publish("0" * 64)
    with pytest.raises(StoreError, match=r"checksum that the hub states.*thrown away"):
        pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)
    assert not list(tmp_path.glob("*.gguf"))
    assert not list(tmp_path.glob(".*.part"))


def test_a_folder_without_hashes_is_verified_file_by_file(hub: Hub, tmp_path: Path) -> None:
    item = Item(source="hf:acme/tiny-gguf", target="tiny", files=("1_Pooling/config.json", "w.gguf"))
    pulled = pull_item(item, tmp_path)
    assert [file.verified_by for file in pulled] == [HUB_CHECKSUM] * 2
    assert (tmp_path / "tiny/1_Pooling/config.json").read_bytes() == CONFIG


def test_a_small_file_that_is_not_the_published_one_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.web.files[f"{REPO}/{COMMIT}/1_Pooling/config.json"] = b"something else...."
    with pytest.raises(StoreError, match="checksum that the hub states"):
        pull_source("hf:acme/tiny-gguf/1_Pooling/config.json", tmp_path)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "GatedRepo", "gated. Accept its terms.*HF_TOKEN"),
        (404, "RepoNotFound", "no repository acme/tiny-gguf, or it is private.*HF_TOKEN"),
        (404, "RevisionNotFound", "has no such revision"),
        (404, "EntryNotFound", "has no such file"),
        (418, "", "the hub cannot be asked"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, tmp_path: Path, status: int, code: str, message: str) -> None:
    hub.web.answers[f"{REPO}/main/w.gguf"] = (status, {"X-Error-Code": code})
    with pytest.raises(StoreError, match=message):
        pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)


def test_what_is_no_hub_is_said_to_be_none(hub: Hub, tmp_path: Path) -> None:
    del hub.web.answers[f"{REPO}/main/w.gguf"]
    hub.web.files[f"{REPO}/main/w.gguf"] = WEIGHTS
    with pytest.raises(StoreError, match="no model hub"):
        pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)


def test_a_hub_that_nobody_answers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:9/acme.*the hub cannot be asked"):
        pull_source("hf:acme/tiny-gguf/w.gguf", tmp_path)


def test_a_name_that_no_repository_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"hf:a b/c: .*a b/c"):
        pull_source("hf:a b/c/w.gguf", tmp_path)


def test_a_repository_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="names a repository: add the path of a file"):
        pull_source("hf:acme/tiny-gguf", tmp_path)


def test_a_locator_is_repository_path_and_revision() -> None:
    assert split_locator("o/r/a/b.gguf@v2") == ("o/r", "a/b.gguf", "v2")
    assert split_locator("o/r") == ("o/r", "", "main")
    with pytest.raises(StoreError, match="hf:OWNER/REPO/FILE"):
        split_locator("only")
