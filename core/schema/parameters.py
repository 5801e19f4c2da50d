"""Reading a request: wrong types, parameters we do not support, and names nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.config.scalars import MAX_SHOWN, brief
from core.engine.deadline import MAX_SECONDS, Deadline, earliest
from core.errors import InvalidRequest

MAX_DEPTH = 64
"""Lists and objects within one another: far more than any request needs, and fewer than what walks through them bears.
"""

MAX_NAMED = 8
"""Unknown parameters that are named one by one: to look for what was meant takes a while, and headers have a limit."""


class Payload(BaseModel):
    """An object with strict JSON types; `warnings` names what was accepted but has no effect.

    A parameter of OpenAI's that would change the result and is not supported is refused by name. One that changes
    nothing here is accepted. An unknown one is ignored with a warning, since old examples and typing errors abound.
    """

    model_config = ConfigDict(strict=True, extra="allow")

    unsupported: ClassVar[dict[str, tuple[Any, ...]]] = {}
    """Parameter -> the values that ask for nothing special."""
    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
    )

    @classmethod
    def parse(cls, payload: object) -> Self:
        """Raises InvalidRequest naming the parameter."""
        if not isinstance(payload, Mapping):
            raise InvalidRequest("the body must be a JSON object")
        _check_values(payload)
        for name, neutral in cls.unsupported.items():
            if payload.get(name) not in (None, *neutral):
                raise InvalidRequest(f"{name} is not supported here; leave it out", param=name)
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            raise _explain(error) from None

    @property
    def warnings(self) -> list[str]:
        ignored = self.__pydantic_extra__ or {}
        unknown = [n for n in ignored if n not in self.without_effect and n not in self.unsupported]
        others = len(unknown) - MAX_NAMED
        warnings = [self._unknown(name) for name in unknown[:MAX_NAMED]]
        return [*warnings, f"{others} more unknown parameters were ignored"] if others > 0 else warnings

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name[:MAX_SHOWN], type(self).model_fields, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown parameter {brief(name)} was ignored{hint}"


class RequestBody(Payload):
    """What is asked of a model. Without a name the service chooses one.

    `request_timeout`, in seconds, is for hosts that pass no headers on, such as a RunPod queue.
    """

    model: str | None = None
    request_timeout: Annotated[float, Field(gt=0, le=MAX_SECONDS)] | None = None

    def within(self, deadline: Deadline | None) -> Deadline | None:
        """The earlier of `deadline` and what the body allows from now on."""
        own = Deadline.after(self.request_timeout, "request_timeout") if self.request_timeout else None
        return earliest(deadline, own)


def _check_values(payload: object) -> None:
    """Raise InvalidRequest for what is nested too deeply, and for half a character, which JSON can say and no tokenizer
    takes."""
    level: Iterable[object] = [payload]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _within(value)]
        if not level:
            return
    raise InvalidRequest(f"the body has more than {MAX_DEPTH} lists and objects within one another")


def _within(value: object) -> Iterable[object]:
    """The parts of a value. A list of tokens, which may be a million, has none that need a look."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, Mapping):
        return (*value, *value.values())
    elif isinstance(value, list) and not set(map(type, value)) <= {int}:
        return value
    return ()


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start : error.end].encode("ascii", "backslashreplace").decode()
        raise InvalidRequest(f"the body holds half of a character, {half}: send its other half too") from None


def _explain(error: ValidationError) -> InvalidRequest:
    """The first field's mistake. A field that may be several things reports one mistake for each: the deepest tells
    most, and where all are equally shallow the value is none of them."""
    mistakes = error.errors(include_url=False)
    field = _path(mistakes[0]["loc"])
    of_field = [mistake for mistake in mistakes if _path(mistake["loc"])[: len(field)] == field]
    deepest = max(of_field, key=lambda mistake: len(_path(mistake["loc"])))
    kinds = [str(part) for mistake in of_field for part in mistake["loc"] if _is_kind(part)]
    is_none_of_them = kinds and _path(deepest["loc"]) == field
    message = f"must be one of {', '.join(kinds)}" if is_none_of_them else _in_our_words(deepest["msg"])
    path = ".".join(_path(deepest["loc"])) or None
    return InvalidRequest(f"{path or 'body'}: {message}", param=path)


def _in_our_words(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Field required", "is missing")
    message = message.replace("Input should be", "must be").replace("Input should", "must")
    return message.replace("List should", "must").replace(" after validation", "")


def _path(location: tuple[int | str, ...]) -> list[str]:
    return [str(part) for part in location if not _is_kind(part)]


def _is_kind(part: int | str) -> bool:
    """pydantic puts the type of a union's branch between the names of fields."""
    return part in ("str", "int") or str(part).startswith("list[")
