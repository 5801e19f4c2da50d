"""The gallery: which files make up a model, where they come from, and the SHA-256 of each.

Invariant: a gallery that was read names only targets below the models folder, and pins every file it can fetch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from core.errors import StoreError

_ONLY_FILE = "."


def _confined(path: str) -> str:
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts or set(path) & set("\\:\0"):
        raise ValueError("must be a relative path with '/' between its parts and without '..'")
    return path


def _mapping(sha256: object) -> object:
    return {_ONLY_FILE: sha256} if isinstance(sha256, str) else sha256


RelativePath = Annotated[str, AfterValidator(_confined)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class PinnedFile:
    """One file to take: its name within the source, its place below the models folder, its SHA-256."""

    member: str
    target: str
    sha256: str


class Item(BaseModel, frozen=True, extra="forbid"):
    """One file of a source; or one folder of it, whose `sha256` then lists the files to take, relative to it."""

    source: str = Field(pattern=r"^[a-z]+:.")
    member: RelativePath
    target: RelativePath
    sha256: Annotated[dict[RelativePath, Digest], BeforeValidator(_mapping), Field(min_length=1)]

    def files(self) -> list[PinnedFile]:
        member, target = PurePosixPath(self.member), PurePosixPath(self.target)
        return [PinnedFile(str(member / name), str(target / name), sha256) for name, sha256 in self.sha256.items()]


class Entry(BaseModel, frozen=True, extra="forbid"):
    description: str
    license: str
    files: Annotated[tuple[Item, ...], Field(min_length=1)]


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
