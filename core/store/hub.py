"""The `hf:` source: files of a model repository on a Hugging Face hub, `OWNER/REPO[/FILE][@REVISION]`.

huggingface_hub resolves a file: endpoint, login (HF_ENDPOINT, HF_TOKEN), commit, size, checksum and what a refusal
means. The bytes come through our own downloader, since the library's does not go on with a broken-off transfer in
another process when it uses its storage protocol (xet), and compares no checksum.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.errors import StoreError
from core.store.download import download
from core.store.progress import Progress
from core.store.transfer import Origin, Wanted

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata


def fetch_from_hub(locator: str, wanted: Sequence[Wanted], progress: Progress) -> dict[str, Origin]:
    """Bring files of one repository, all from the commit that the revision names now."""
    repository, inner, revision = split_locator(locator)
    origins = {}
    for file in wanted:
        path = "/".join(part for part in (inner, file.member) if part)
        if not path:
            raise StoreError(f"hf:{locator} names a repository: add the path of a file in it.")
        metadata = _resolve(repository, path, revision)
        # The commit, not the branch: further files and a resumed transfer must be of the same version.
        revision = metadata.commit_hash or revision
        download(_url(repository, path, revision), file.part, progress, headers=_login())
        origins[file.member] = Origin(revision, metadata.etag)
    return origins


def split_locator(locator: str) -> tuple[str, str, str]:
    """`owner/repo/dir/file@revision` -> ("owner/repo", "dir/file", "revision"); without one the revision is `main`."""
    path, _, revision = locator.partition("@")
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2:
        raise StoreError(f"hf:{locator}: a file of a hub is written hf:OWNER/REPO/FILE or hf:OWNER/REPO/FILE@REVISION.")
    return "/".join(parts[:2]), "/".join(parts[2:]), revision or "main"


def _resolve(repository: str, path: str, revision: str) -> HfFileMetadata:
    # Read when the library is imported; it would report which tools are installed.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import httpx2
    from huggingface_hub import errors, get_hf_file_metadata

    url = _url(repository, path, revision)
    try:
        metadata = get_hf_file_metadata(url, headers=_login(), token=False, endpoint=_endpoint(), retry_on_errors=True)
    except errors.GatedRepoError as error:
        raise StoreError(
            f"{url}: this repository is gated. Accept its terms on its page, then set HF_TOKEN to a token of yours."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise StoreError(
            f"{url}: there is no repository {repository}, or it is private. Check the name; for a private one set "
            "HF_TOKEN to a token that may read it."
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        what = "revision" if isinstance(error, errors.RevisionNotFoundError) else "file"
        raise StoreError(f"{url}: {repository} has no such {what}. Check it on the repository's page.") from error
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled) as error:
        raise StoreError(f"{url}: the hub cannot be asked: {error}. Check the network and HF_ENDPOINT.") from error
    if metadata.commit_hash is None:
        raise StoreError(f"{url}: what answers there is no model hub. Check HF_ENDPOINT and the proxy settings.")
    return metadata


def _url(repository: str, path: str, revision: str) -> str:
    from huggingface_hub import errors, hf_hub_url

    try:
        return hf_hub_url(repository, path, revision=revision, endpoint=_endpoint())
    except errors.HFValidationError as error:
        raise StoreError(f"hf:{repository}: {error}") from error


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _login() -> dict[str, str]:
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
