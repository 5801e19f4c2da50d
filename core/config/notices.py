"""What a file says that is accepted but does not do what its author may expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.config.document import KeyPath
from core.config.scalars import to_float

_OWN_TEMPLATE = "is not carried out yet: the chat template inside the weights is used"

NOT_CARRIED_OUT: dict[KeyPath, str] = {
    ("template", "chat"): _OWN_TEMPLATE,
    ("template", "chat_message"): _OWN_TEMPLATE,
    ("template", "function"): _OWN_TEMPLATE,
    ("template", "completion"): "is not carried out yet: completions get their prompt as it is",
    ("template", "edit"): "is not carried out yet: there is no route for edits",
    ("template", "reply_prefix"): "is not carried out yet: replies begin with what the model generates",
    ("roles",): "is not carried out yet: the chat template inside the weights names the roles",
    ("system_prompt",): "is not carried out yet: only Go templates use it; send a system message",
    ("mmproj",): "is not carried out: only text is served",
    ("lora_adapter",): "is not carried out: the model is served without it",
    ("grammar",): "is not carried out: output is not constrained",
}
"""Keys that LocalAI gives a meaning and we do not."""


def notices(config: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """(path of the key, what to know about it) for a config as read, before typing."""
    for path, message in NOT_CARRIED_OUT.items():
        # A value of another kind is an error, and told as one.
        if isinstance(_look_up(config, path), Mapping if path == ("roles",) else str):
            yield path, message
    for key in ("stopwords", "options"):
        for index, item in enumerate(_items(config, key)):
            if isinstance(item, Mapping):
                yield (key, index), "this item is not text and is left out: put it in quotes"
    top_p = _look_up(config, ("parameters", "top_p"))
    if isinstance(top_p, str) and _above_one(top_p):
        yield ("parameters", "top_p"), f"{top_p!r} is above 1, which switches it off: was it meant for top_k?"


def _look_up(config: Mapping[str, Any], path: KeyPath) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _items(config: Mapping[str, Any], key: str) -> list[Any]:
    value = config.get(key)
    return value if isinstance(value, list) else []


def _above_one(text: str) -> bool:
    try:
        return bool(to_float(text) > 1)
    except ValueError:
        return False
