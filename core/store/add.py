"""Add: weights from anywhere become a served model, with a YAML that says what was found in them.

A file or folder outside the models folder is copied into it, so that the folder stays whole when it is moved.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from core.config.folder import read_folder
from core.config.weight_files import gguf_fault
from core.errors import ModelUnusable, StoreError
from core.gguf import read_header
from core.store.disk import explained_disk_errors
from core.store.gallery import Item, single_item
from core.store.model_yaml import folder_yaml, gguf_yaml
from core.store.progress import Progress, silent
from core.store.pull import Pulled, pull_item
from core.store.record import forget_record
from core.store.sources import canonical, file_name

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_NOT_MODELS = {
    "adapter": "a LoRA adapter, which changes another model: add that model",
    "mmproj": "the picture half of a model: add the model itself",
}


@dataclass(frozen=True)
class Added:
    """The YAML that was written, and the weights' files: empty if they were in the folder already."""

    name: str
    config: Path
    pulled: list[Pulled]


def add(source: str, models: Path, name: str | None = None, progress: Progress = silent) -> Added:
    """Fetch `source` (a path, an address, "hf:owner/repo/file"), read its header, write `<name>.yaml`.

    `name` is by default that of the file, in lower case. Raises StoreError if the name is taken (before anything is
    fetched) or the fetch fails, ModelUnusable if the weights are none that we serve.
    """
    local = _local_path(source, models)
    source = f"file:{local.absolute()}" if local else canonical(source)
    file = local.name if local else file_name(source)
    name = name or _default_name(file)
    config = _free_config(name, models)
    if local:
        _require_model(local)
    model, pulled = _path_within(models, local) if local else None, []
    if model is None:
        model, pulled = file, _pull_model(_item(source, local), models, progress)
    with explained_disk_errors(models), config.open("x", encoding="utf-8") as output:
        output.write(_describe(name, model, models, source))
    return Added(name, config, pulled)


def _local_path(source: str, models: Path) -> Path | None:
    """A name is looked for in the models folder, then where the command was given."""
    path = Path(source.removeprefix("file:")).expanduser()
    found = next((place for place in (models / path, path) if place.exists()), None)
    if found is None and not re.match("[a-z]+:", source):
        raise StoreError(f"{source}: there is no such file, and it is no address. Write a path, https://... or hf:...")
    return found


def _path_within(models: Path, path: Path) -> str | None:
    """`path` as seen from the models folder; None if it is outside. A link in the folder is in the folder."""
    places = (os.path.abspath(path), os.path.abspath(models)), (os.path.realpath(path), os.path.realpath(models))
    inside = (Path(one).relative_to(folder) for one, folder in places if Path(one).is_relative_to(folder))
    return next((found.as_posix() for found in inside), None)


def _item(source: str, local: Path | None) -> Item:
    if local is None or local.is_file():
        return single_item(source, file_name(source))
    files = (file.relative_to(local) for file in sorted(local.rglob("*")) if file.is_file())
    shown = [file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)]
    return single_item(source, local.name, tuple(shown))


def _pull_model(item: Item, models: Path, progress: Progress) -> list[Pulled]:
    """Raises ModelUnusable for what is no model; it would be in the way of a better file, so it is removed again."""
    pulled, target = pull_item(item, models, progress), models / item.target
    try:
        _require_model(target)
    except ModelUnusable:
        if target.is_file() and all(file.is_new for file in pulled):
            target.unlink()
            forget_record(target)
        raise
    return pulled


def _default_name(file: str) -> str:
    return re.sub(r"[^\w.-]", "-", re.sub(r"\.gguf$", "", file, flags=re.IGNORECASE)).lower()


def _free_config(name: str, models: Path) -> Path:
    """Where the YAML goes; raises StoreError if that name is taken already or can be no file's."""
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot be a model's name: use letters, digits, '.', '_' and '-' (see --name).")
    with explained_disk_errors(models):
        models.mkdir(parents=True, exist_ok=True)
    paths = [models / f"{name}{suffix}" for suffix in (".yaml", ".yml")]
    configured = read_folder(models).configs.get(name)
    if taken := next((path for path in paths if path.exists()), configured and configured.source):
        raise StoreError(f"{taken} is there already and is not overwritten: give another name (--name), or remove it.")
    return paths[0]


def _require_model(weights: Path) -> None:
    """Raise ModelUnusable for anything but a whole GGUF model or a folder as sentence-transformers saves it."""
    if weights.is_dir():
        if not (weights / "modules.json").is_file():
            raise ModelUnusable(f"{weights} has no modules.json: of folders only sentence-transformers' can be added.")
        return
    if fault := gguf_fault(weights):
        raise ModelUnusable(f"{fault}.")
    header = read_header(weights)
    if fault := _NOT_MODELS.get(header.kind):
        raise ModelUnusable(f"{weights.name} is {fault}.")
    if header.is_vocabulary_only:
        raise ModelUnusable(f"{weights.name} holds a vocabulary and no weights: get the model's own file.")
    if header.pooling == "rank":
        raise ModelUnusable(f"{weights.name} is a reranker, which warmfn does not serve.")


def _describe(name: str, model: str, models: Path, source: str) -> str:
    weights = models / model
    if weights.is_dir():
        return folder_yaml(name, model, weights, source)
    return gguf_yaml(name, model, weights, read_header(weights), source)
