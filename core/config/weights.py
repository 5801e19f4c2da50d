"""Where a model's weights lie: never outside the models folder, whatever the YAML says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from core.config.gallery_names import gallery_names
from core.config.problem import NOT_MADE, NOT_PULLED, ConfigFault, NotMade, NotPulled
from core.config.scalars import brief

CONTAINER_ROOT = PurePosixPath("/build/models")
"""LocalAI's image mounts the models folder here, and people copy the absolute paths into their files."""

_FETCH = "fetch them from where they are (`warmfn pull hf:OWNER/REPO/FILE.gguf`)"
_REMOTE = ("huggingface://", "hf://", "github://", "github:", "http://", "https://")


def locate_weights(
    root: Path,
    model: str,
    *,
    asked_by: str = "",
    name: str = "",
    uri: str | None = None,
    made_from: str | None = None,
) -> Path:
    """`model` below `root`: a path, the path a download of it was saved to, or the folder a Hugging Face id ends in.

    Links are followed: whoever can write into the folder decides what is in it. Raises ConfigFault, which begins with
    `asked_by`, for a path outside and where nothing is there; then it says which `warmfn pull` may help: that of the
    model's `name` where the folder's gallery has it (NotPulled), or that of the `uri` the weights come from. Those that
    are `made_from` another model's wait for `warmfn optimize` (NotMade).
    """
    for path in _candidates(root, model, asked_by):
        if os.path.exists(path):  # False, too, for a name that no file system takes
            return path
    missing = f"weights {brief(model)} are not in {root}"
    if name in gallery_names(root):
        reason = f"{NOT_PULLED}, {missing}: run `warmfn pull {name}` or put them there"
        raise NotPulled(asked_by, "parameters.model", reason)
    if made_from:
        reason = f"{NOT_MADE}, {missing}: run `warmfn optimize {name}` once {made_from} is there"
        raise NotMade(asked_by, "parameters.model", reason)
    source = model if is_remote(model) else uri
    remedy = f"run `warmfn pull {source}` or put them there" if source else f"put them there, or {_FETCH}"
    raise ConfigFault(asked_by, "parameters.model", f"{missing}: {remedy}")


def is_remote(model: str) -> bool:
    return model.startswith(_REMOTE)


def require_inside(name: str) -> str:
    """`name`, if it is a path below the models folder; raises ValueError."""
    path = PurePosixPath(name)
    if "\0" in name or ".." in path.parts or (path.is_absolute() and not path.is_relative_to(CONTAINER_ROOT)):
        raise ValueError(f"{brief(name)} is not a path inside the models folder: name a file in it")
    return name


def _candidates(root: Path, model: str, asked_by: str) -> Iterator[Path]:
    if is_remote(model):
        yield from (root / name for name in _download_names(model) if name not in ("", ".", ".."))
        return
    named = _named_folder(root, model)
    try:
        yield root / _relative(root, model)
    except ValueError as error:
        if not named:
            raise ConfigFault(asked_by, "parameters.model", str(error)) from None
    if named:
        yield named


def _relative(root: Path, model: str) -> PurePosixPath:
    path = PurePosixPath(model)
    for base in (CONTAINER_ROOT, root.absolute(), root.resolve()):
        if path.is_relative_to(base):
            path = path.relative_to(base)
    require_inside(str(path))
    if path.is_absolute() or path == PurePosixPath():
        raise ValueError(f"{brief(model)} is not a path inside the models folder: name a file in {root}")
    return path


def _named_folder(root: Path, model: str) -> Path | None:
    """`sentence-transformers/all-MiniLM-L6-v2` and `/opt/all-MiniLM-L6-v2` as the folder of that name in `root`."""
    path = PurePosixPath(model)
    if "\0" in model or ".." in path.parts or not path.name:
        return None
    folder = root / path.name
    return folder if os.path.isdir(folder) else None


def _download_names(ref: str) -> Iterator[str]:
    """What LocalAI has saved a download as: now its last part, some versions ago the MD5 of its URL."""
    base = ref.rpartition("/")[2]
    yield base
    yield base.partition("?")[0].partition("@")[0]
    yield hashlib.md5(https_url(ref).encode(), usedforsecurity=False).hexdigest()


def https_url(ref: str) -> str:
    """The address LocalAI makes of a remote reference."""
    scheme, _, rest = ref.partition("://") if "://" in ref else ref.partition(":")
    if scheme in ("http", "https"):
        return ref
    path, _, branch = rest.partition("@")
    owner, repo, file = (*path.split("/", 2), "", "")[:3]
    if scheme == "github":
        return f"https://raw.githubusercontent.com/{owner}/{repo}/{branch or 'main'}/{file}"
    return f"https://huggingface.co/{owner}/{repo}/resolve/{branch or 'main'}/{file}"
