"""sprig's functions on text, with its order of parameters: the text comes last, so that it can be piped in.

Positions are counted in bytes, as in Go; a character that is cut through becomes U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any

from core.prompt import budget as cost
from core.prompt.budget import budget
from core.prompt.gotemplate.calls import table
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.printing import sprint
from core.prompt.gotemplate.quoting import quote

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_SPACE += "\u2028\u2029\u202f\u205f\u3000"
_WORD_START = re.compile(rf"(?:^|(?<=[{re.escape(_SPACE)}])|(?<=[\0-/:-@\[-^`{{-\x7f]))\w")
_REFERENCE = re.compile(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})")


def _trim(text: str) -> str:
    return text.strip(_SPACE)


def _upper(text: str) -> str:
    """Character by character: a ß stays as it is."""
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in text)


def _lower(text: str) -> str:
    return "".join(character.lower()[0] for character in text)


def _title(text: str) -> str:
    return _WORD_START.sub(lambda match: title if len(title := match[0].title()) == 1 else match[0], text)


def _contains(part: str, text: str) -> bool:
    return part in text


def _has_prefix(prefix: str, text: str) -> bool:
    return text.startswith(prefix)


def _has_suffix(suffix: str, text: str) -> bool:
    return text.endswith(suffix)


def _trim_prefix(prefix: str, text: str) -> str:
    return text.removeprefix(prefix)


def _trim_suffix(suffix: str, text: str) -> str:
    return text.removesuffix(suffix)


def _replace(old: str, new: str, text: str) -> str:
    cost.spend_replace(text, old, new)
    return text.replace(old, new)


def _regex_replace_all(regex: str, text: str, replacement: str) -> str:
    """In Go's regular expressions; `$1` and `${name}` in `replacement` are what the groups matched.

    Nothing is put where an empty match follows another match directly.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile(regex, options)
    except re2.error as error:
        raise Mistake(f"{regex!r} is no regular expression: {error}") from None

    end_before = -1

    def expanded(match: Any) -> str:
        nonlocal end_before
        touches, end_before = match.start() == end_before, match.end()
        if touches and not match[0]:
            return ""
        result = _REFERENCE.sub(lambda reference: _referenced(match, reference), replacement)
        budget().spend_step()
        budget().spend_text(len(result))
        return result

    return str(pattern.sub(expanded, text))


def _referenced(match: Any, reference: re.Match[str]) -> str:
    """What a group matched; nothing where there is no such group."""
    name = reference["name"] or reference["braced"]
    if name is None:
        return "$"
    try:
        return match[int(name) if name.isdecimal() else name] or ""
    except IndexError:
        return ""


def _split_list(separator: str, text: str) -> list[str]:
    parts = text.split(separator) if separator else list(text)
    budget().spend_text(len(parts))
    return parts


def _texts(values: Any) -> list[str]:
    if values is None:
        return []
    items = values if isinstance(values, list) else [values]
    return [_text(item) for item in items if item is not None]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else sprint(value)


def _join(separator: str, values: Any) -> str:
    texts = _texts(values)
    cost.spend_join(texts, separator)
    return separator.join(texts)


def _trunc(count: int, text: str) -> str:
    """The first `count` bytes, or the last `-count`."""
    data = text.encode()
    if abs(count) >= len(data):
        return text
    return (data[count:] if count < 0 else data[:count]).decode(errors="replace")


def _indent(count: int, text: str) -> str:
    if count < 0:
        raise Mistake("the number of spaces is negative")
    cost.spend_indent(text, count)
    padding = " " * count
    return padding + text.replace("\n", "\n" + padding)


def _nindent(count: int, text: str) -> str:
    return "\n" + _indent(count, text)


def _nospace(text: str) -> str:
    """As sprig does it, which takes bytes for characters once there is a space to remove: ASCII alone stays whole."""
    characters = text.encode().decode("latin-1")
    kept = "".join(character for character in characters if character not in _SPACE)
    return text if len(kept) == len(characters) else kept


def _quote(*values: Any) -> str:
    return " ".join(quote(_text(value)) for value in values if value is not None)


def _squote(*values: Any) -> str:
    return " ".join(f"'{_text(value)}'" for value in values if value is not None)


TEXT_FUNCTIONS = table(
    {
        "contains": _contains,
        "hasPrefix": _has_prefix,
        "hasSuffix": _has_suffix,
        "indent": _indent,
        "join": _join,
        "lower": _lower,
        "nindent": _nindent,
        "nospace": _nospace,
        "quote": _quote,
        "regexReplaceAll": _regex_replace_all,
        "replace": _replace,
        "splitList": _split_list,
        "squote": _squote,
        "title": _title,
        "toString": _text,
        "trim": _trim,
        "trimPrefix": _trim_prefix,
        "trimSuffix": _trim_suffix,
        "trunc": _trunc,
        "upper": _upper,
    }
)
