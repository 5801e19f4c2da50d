"""The `prefixes:` of a model's YAML: how prompts begin that are to be read once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from core.config.document import DocumentError
from core.config.weights import require_inside

MAX_TEXT_BYTES = 1 << 22
_FORMS = "write text, `file:` with the path of a text in the models folder, or `messages:` with `role` and `content`"


class PrefixMessage(BaseModel, frozen=True):
    role: Annotated[str, Field(min_length=1)]
    content: str = ""


class Prefix(BaseModel, frozen=True):
    """One of three: `text` as the model reads it, a `file` of such text, or the `messages` a chat begins with."""

    text: str | None = None
    file: Annotated[str, AfterValidator(require_inside)] | None = None
    messages: tuple[PrefixMessage, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"text": value}
        if not isinstance(value, Mapping):
            raise ValueError(f"a prefix has another form: {_FORMS}")
        if "tools" in value:
            raise ValueError("tools: no template here takes tools, so that no prompt begins with them: remove them")
        if unknown := value.keys() - cls.model_fields.keys():
            raise ValueError(f"{', '.join(sorted(map(str, unknown)))}: no such key: {_FORMS}")
        return value

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.text, self.file, self.messages))) != 1:
            raise ValueError(f"each prefix is one of three: {_FORMS}")
        return self


def with_texts(prefixes: Iterable[Prefix], root: Path) -> tuple[tuple[Prefix, ...], list[tuple[int, str]]]:
    """The prefixes with the texts of their files, so that another text makes another config; and (index, what is wrong)
    for those whose file cannot be read, which stay without a text."""
    found, faults = [], []
    for index, prefix in enumerate(prefixes):
        if prefix.file is not None:
            try:
                prefix = prefix.model_copy(update={"text": _read_text(root / prefix.file)})
            except DocumentError as error:
                faults.append((index, error.message))
        found.append(prefix)
    return tuple(found), faults


def _read_text(file: Path) -> str:
    """Raises DocumentError."""
    try:
        if not file.is_file():
            raise DocumentError("there is no such file: put it there, or correct the name")
        if file.stat().st_size > MAX_TEXT_BYTES:
            raise DocumentError(f"it has more than {MAX_TEXT_BYTES >> 20} MiB, which no model reads: shorten it")
        text = file.read_bytes().decode()
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error.strerror}: make it readable") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    if not text:
        raise DocumentError("it is empty: write the text into it")
    return text
