"""The gallery: which files make up a model, where they come from, and the SHA-256 of each where somebody verified it.

Invariant: a gallery that was read names only targets below the models folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from core.errors import StoreError
from core.store.sources import canonical, file_name

ONLY_FILE = "."


def _confined(path: str) -> str:
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts or set(path) & set("\\:\0"):
        raise ValueError("must be a relative path with '/' between its parts and without '..'")
    return path


def _source(source: str) -> str:
    if not re.match("[a-z]+:.", source):
        raise ValueError("must begin with a kind of source, such as hf: or https:")
    return canonical(source)


def _mapping(sha256: object) -> object:
    return {ONLY_FILE: sha256} if isinstance(sha256, str) else sha256


RelativePath = Annotated[str, AfterValidator(_confined)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class GalleryFile:
    """One file to take: its name within the source ("" if the source is that file), its path below the item's target
    ("." if that is the file), its SHA-256 where that is known."""

    member: str
    name: str
    sha256: str | None


class Item(BaseModel, frozen=True, extra="forbid"):
    """One file of a source, or one folder of it.

    A folder's files are those that `files` and `sha256` name, relative to it. `member` is left out where the source
    itself is the file or folder; `target` where the file keeps its name.
    """

    source: Annotated[str, AfterValidator(_source)]
    member: RelativePath | None = None
    target: RelativePath
    files: tuple[RelativePath, ...] = ()
    sha256: Annotated[dict[RelativePath, Digest], BeforeValidator(_mapping)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _target_from_source(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "target" in data or not isinstance(data.get("source"), str):
            return data
        member = data.get("member")
        try:
            target = PurePosixPath(member).name if isinstance(member, str) else file_name(canonical(data["source"]))
        except StoreError as error:
            raise ValueError(f"{error.message} Or write `target`.") from error
        return {**data, "target": target}

    @model_validator(mode="after")
    def _one_file_or_a_folder(self) -> Self:
        if self.files and ONLY_FILE in self.sha256:
            raise ValueError("with `files` it is a folder: map `sha256` from its files to their hashes")
        return self

    @property
    def is_folder(self) -> bool:
        return bool(self.files or self.sha256.keys() - {ONLY_FILE})

    def wanted(self) -> list[GalleryFile]:
        if not self.is_folder:
            return [GalleryFile(self.member or "", ONLY_FILE, self.sha256.get(ONLY_FILE))]
        member = PurePosixPath(self.member or "")
        names = dict.fromkeys((*self.files, *self.sha256))
        return [GalleryFile(str(member / name), name, self.sha256.get(name)) for name in names]

    def targets(self) -> list[str]:
        return [str(PurePosixPath(self.target) / file.name) for file in self.wanted()]


def single_item(source: str, target: str, files: tuple[str, ...] = ()) -> Item:
    """An item that no gallery has; raises StoreError."""
    try:
        return Item(source=source, target=target, files=files)
    except ValidationError as error:
        raise StoreError(f"{source} cannot be fetched: {_problems(error)}") from error


class Entry(BaseModel, frozen=True, extra="forbid"):
    """`size` is the bytes of all files together, where a cited source or a computation gave it.

    `kv_bytes_per_token` is what the KV cache (f16) takes by the model's published shape; 0 for embedding models.
    """

    description: str
    license: str
    quant: str | None = None
    size: Annotated[int, Field(gt=0)] | None = None
    kv_bytes_per_token: Annotated[int, Field(ge=0)] | None = None
    files: Annotated[tuple[Item, ...], Field(min_length=1)]

    def targets(self) -> list[str]:
        return [target for item in self.files for target in item.targets()]


_ENTRIES = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Gallery:
    path: Path
    entries: dict[str, Entry]

    def entry(self, name: str) -> Entry:
        """Raise StoreError, listing the names there are, if `name` is not one of them."""
        if name not in self.entries:
            raise StoreError(f"{self.path} has no model {name!r}; it has: {', '.join(sorted(self.entries)) or 'none'}.")
        return self.entries[name]


def read_gallery(path: Path) -> Gallery:
    """Raise StoreError naming file and key if the gallery cannot be read as one."""
    try:
        return Gallery(path, _ENTRIES.validate_python(yaml.safe_load(path.read_text("utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: the gallery cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise StoreError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        raise StoreError(f"{path}: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'gallery'}: {one['msg']}" for one in error.errors())
