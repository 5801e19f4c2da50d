"""A models folder -> the configs in it, by name, and what is wrong with its files.

Configs are the .yaml and .yml files of the folder itself that are not hidden; leftovers such as `x.yaml.bak` are
nobody's model and nothing is said about them. Weights that no config names follow, as models of their own.

Invariant: a broken file costs its own model only, and is never passed over in silence.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.config.defaults import FolderDefaults
from core.config.document import DocumentError
from core.config.gallery_names import GALLERY
from core.config.loose import loose_models
from core.config.model import ModelConfig
from core.config.problem import ConfigFault, Problem
from core.config.reader import read_config_file, read_text
from core.config.scalars import is_unicode
from core.config.weights import locate_weights
from core.errors import ModelUnusable

__all__ = ["FolderDefaults", "ModelsFolder", "Problem", "belongings", "read_folder"]

_SUFFIXES = (".yaml", ".yml")
_NO_DEFAULTS = FolderDefaults()


@dataclass(frozen=True)
class ModelsFolder:
    """`defaults` are those it was read with, and is to be read again with."""

    path: Path
    configs: dict[str, ModelConfig]
    problems: list[Problem]
    defaults: FolderDefaults = _NO_DEFAULTS


def read_folder(path: Path, defaults: FolderDefaults = _NO_DEFAULTS) -> ModelsFolder:
    """Read every config of the folder in the order of file names, then what weights there are besides; cheap enough to
    do again whenever a file changes. Raises ModelUnusable if there is no such folder, or it cannot be read."""
    folder = ModelsFolder(path, {}, [], defaults)
    entries = list(_entries(folder))
    files = [file for file in entries if _is_config(file)]
    found = [(file, problem) for file in files for problem in _add(folder, file)]
    folder.problems.extend(_attributed(folder, file, problem) for file, problem in found)
    broken = {file for file, problem in found if problem.severity == "error"}
    named = belongings(folder.configs.values()) | _mentioned(entries, broken)
    for config, problems in loose_models(path, entries, named, defaults):
        if config is None or config.name not in folder.configs:
            folder.problems.extend(problems)
        if config:
            folder.configs.setdefault(config.name, config)
    return folder


def belongings(configs: Iterable[ModelConfig]) -> set[str]:
    """The real paths of what belongs to configs: their weights, and the drafts, adapters and projectors beside them."""
    files: set[str] = set()
    for config in configs:
        others = (config.mmproj, config.draft_model, config.lora_adapter, config.lora_base, *config.lora_adapters)
        for name in filter(None, (config.parameters.model or config.name, *others)):
            with contextlib.suppress(ConfigFault):
                files.add(os.path.realpath(locate_weights(config.root, name)))
    return files


def _entries(folder: ModelsFolder) -> Iterator[Path]:
    """What lies in the folder, sorted by name, but for names that no reply could carry."""
    if not os.path.isdir(folder.path):
        raise ModelUnusable(f"{folder.path} is not a folder: give the folder that holds your models' YAML files")
    try:
        entries = sorted(folder.path.iterdir())
    except OSError as error:
        raise ModelUnusable(f"{folder.path} cannot be read: {error.strerror}: make the folder readable") from error
    for entry in entries:
        if is_unicode(entry.name):
            yield entry
        elif not entry.name.startswith("."):
            message = "its name is not UTF-8, so it is passed over: rename it"
            folder.problems.append(Problem(ascii(entry.name), None, None, message, "warning"))


def _is_config(file: Path) -> bool:
    named_so = file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.name != GALLERY
    return named_so and (os.path.isfile(file) or os.path.islink(file))


def _add(folder: ModelsFolder, file: Path) -> list[Problem]:
    configs, problems = read_config_file(file, folder.defaults)
    for config in configs:
        earlier = folder.configs.get(config.name)
        if earlier is not None:
            message = f"{config.name!r} is also the name of a model in {earlier.source}: this one is served, rename one"
            problems.append(Problem(str(file), None, "name", message, "warning", config.name))
        folder.configs[config.name] = config
    return problems


def _attributed(folder: ModelsFolder, file: Path, problem: Problem) -> Problem:
    """A problem that reading `file` has shown; it is not the model's if the model is that of another file."""
    config = folder.configs.get(problem.model) if problem.model else None
    return replace(problem, model=None) if config and config.source != file else problem


def _mentioned(entries: Iterable[Path], broken: Iterable[Path]) -> set[str]:
    """The real paths of what the texts of broken files name: it is theirs, and no model beside them."""
    texts: list[str] = []
    for file in broken:
        with contextlib.suppress(DocumentError):
            texts.append(read_text(file))
    names = {entry: re.compile(rf"(?<![\w.-]){re.escape(entry.name)}(?![\w.-])") for entry in entries}
    return {os.path.realpath(entry) for entry, name in names.items() if any(map(name.search, texts))}
