"""Where a model's weights lie: never outside the models folder, whatever the YAML says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from core.errors import ModelUnusable

CONTAINER_ROOT = PurePosixPath("/build/models")
"""LocalAI's image mounts the models folder here, and people copy the absolute paths into their files."""


def locate_weights(root: Path, model: str, *, asked_by: str) -> Path:
    """`model` below `root`. Links are followed: whoever can write into the folder decides what is in it.

    Raises ModelUnusable, beginning with `asked_by`, where the path leads outside or nothing is there.
    """
    path = root / _relative(root, model, asked_by)
    if not path.exists():
        raise ModelUnusable(
            f"{asked_by}: weights {model!r} are not in {root}: run `warmfn pull NAME` or put the file there"
        )
    return path


def _relative(root: Path, model: str, asked_by: str) -> PurePosixPath:
    path = PurePosixPath(model)
    for base in (CONTAINER_ROOT, root.absolute(), root.resolve()):
        if path.is_relative_to(base):
            path = path.relative_to(base)
    if path.is_absolute() or ".." in path.parts or path == PurePosixPath() or "\0" in model:
        raise ModelUnusable(
            f"{asked_by}: parameters.model {model!r} is not a path inside the models folder: name a file in {root}"
        )
    return path
