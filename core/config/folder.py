"""A models folder -> the configs in it, by name, and what is wrong with its files.

Invariant: a broken file costs its own model only, and is never passed over in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.reader import read_config_file
from core.errors import ModelUnusable

__all__ = ["ModelsFolder", "Problem", "read_folder"]

_SUFFIXES = (".yaml", ".yml")
_NOT_CONFIGS = {"gallery.yaml"}


@dataclass(frozen=True)
class ModelsFolder:
    path: Path
    configs: dict[str, ModelConfig]
    problems: list[Problem]


def read_folder(path: Path) -> ModelsFolder:
    """Read every config of the folder in the order of file names; raises ModelUnusable if there is no such folder."""
    if not path.is_dir():
        raise ModelUnusable(f"{path} is not a folder: give the folder that holds your models' YAML files")
    folder = ModelsFolder(path, {}, [])
    for file in sorted(path.iterdir()):
        if _is_config(file):
            _add(folder, file)
    return folder


def _is_config(file: Path) -> bool:
    named_so = file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.name not in _NOT_CONFIGS
    return named_so and (file.is_file() or file.is_symlink())


def _add(folder: ModelsFolder, file: Path) -> None:
    configs, problems = read_config_file(file)
    folder.problems.extend(problems)
    for config in configs:
        earlier = folder.configs.get(config.name)
        if earlier is not None:
            message = f"{config.name!r} is also the name of a model in {earlier.source}: this one is served"
            folder.problems.append(Problem(str(file), None, "name", message, "warning"))
        folder.configs[config.name] = config
