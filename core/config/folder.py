"""A models folder -> the configs in it, by name, and what is wrong with its files.

Configs are the .yaml and .yml files of the folder itself that are not hidden; leftovers such as `x.yaml.bak` are
nobody's model and nothing is said about them. Weights that no config names follow, as models of their own.

Invariant: a broken file costs its own model only, and is never passed over in silence.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from core.config.defaults import FolderDefaults
from core.config.loose import loose_models
from core.config.model import ModelConfig
from core.config.problem import ConfigFault, Problem
from core.config.reader import read_config_file
from core.config.weights import locate_weights
from core.errors import ModelUnusable

__all__ = ["FolderDefaults", "ModelsFolder", "Problem", "read_folder"]

_SUFFIXES = (".yaml", ".yml")
_NOT_CONFIGS = {"gallery.yaml"}
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
    do again whenever a file changes. Raises ModelUnusable if there is no such folder."""
    if not path.is_dir():
        raise ModelUnusable(f"{path} is not a folder: give the folder that holds your models' YAML files")
    folder = ModelsFolder(path, {}, [], defaults)
    for file in sorted(path.iterdir()):
        if _is_config(file):
            _add(folder, file)
    for config, problems in loose_models(path, _named_files(folder), defaults):
        if config is None or config.name not in folder.configs:
            folder.problems.extend(problems)
        if config:
            folder.configs.setdefault(config.name, config)
    return folder


def _is_config(file: Path) -> bool:
    named_so = file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.name not in _NOT_CONFIGS
    return named_so and (file.is_file() or file.is_symlink())


def _add(folder: ModelsFolder, file: Path) -> None:
    configs, problems = read_config_file(file, folder.defaults)
    folder.problems.extend(problems)
    for config in configs:
        earlier = folder.configs.get(config.name)
        if earlier is not None:
            message = f"{config.name!r} is also the name of a model in {earlier.source}: this one is served, rename one"
            folder.problems.append(Problem(str(file), None, "name", message, "warning", config.name))
        folder.configs[config.name] = config


def _named_files(folder: ModelsFolder) -> set[Path]:
    """What belongs to configs: their weights, and the drafts, adapters and projectors beside them."""
    files: set[Path] = set()
    for config in folder.configs.values():
        others = (config.mmproj, config.draft_model, config.lora_adapter, config.lora_base, *config.lora_adapters)
        for name in (config.parameters.model or config.name, *others):
            with contextlib.suppress(ConfigFault):
                files |= {locate_weights(folder.path, name, asked_by="", pull="").resolve()} if name else set()
    return files
