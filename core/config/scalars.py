"""Go's rules for turning a YAML scalar into a typed value.

The YAML reader hands every scalar over as the text in the file, because Go decides by the target field: `name: yes` is
the name "yes" while `f16: yes` is true. Values that are already typed (a config built in code) pass through unchanged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

_BASES = {"0x": 16, "0o": 8, "0b": 2}
_TRUE = {"true", "yes", "on", "y"}
_FALSE = {"false", "no", "off", "n"}
MAX_INT32 = 2**31 - 1
MAX_SHOWN = 120
"""Characters of a value in a message."""
MAX_THREADS = 1024
MAX_BATCH = 65_536
"""llama.cpp takes more of either without a word and then ends the process."""


def brief(value: object) -> str:
    """The value as Python writes it, shortened."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """Without its middle where it is long."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN // 2]}...{text[-MAX_SHOWN // 2 :]}"


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can write it: half characters come from file names in other encodings and from `"\\ud800"`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_int(value: Any) -> Any:
    """A whole number, in base 2, 8, 10 or 16; a fraction is cut off as Go does (`40.0` is 40, `0.9` is 0)."""
    if not isinstance(value, str):
        return value
    text = value.strip().replace("_", "").lower()
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    try:
        if digits[:2] in _BASES:
            return sign * int(digits[2:], _BASES[digits[:2]])
        if re.fullmatch("0[0-7]+", digits):
            return sign * int(digits, 8)
        return sign * (int(digits) if digits.isdecimal() else int(float(digits)))
    except (ValueError, OverflowError):
        raise ValueError(f"{brief(value)} is not a whole number: write one such as 40") from None


def to_float(value: Any) -> Any:
    """A finite number."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value.replace("_", ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{brief(value)} is not a number: write one such as 0.7")
    return number


def to_bool(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{brief(value)} is neither true nor false: write one of them")
    return word in _TRUE


def to_switch(value: Any) -> Any:
    """As LocalAI reads its options: a boolean, or one of the words and digits that it takes for one."""
    word = value.lower() if isinstance(value, str) else value
    return True if word in ("1", "enabled") else False if word in ("0", "disabled") else to_bool(value)


def to_list(value: Any) -> Any:
    """A lone scalar stands for a list of one. An item that is a mapping (`- Question:` without quotes) is left out."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if not isinstance(item, Mapping)] if isinstance(value, list) else value


def to_count(value: Any) -> Any:
    """A number of at least 1; LocalAI writes "not set" as 0 and "as many as possible" as -1, both None here."""
    number = to_int(value)
    return None if number in (0, -1) else number


def to_card(value: Any) -> Any:
    """A GPU's number. LocalAI writes 0 where nobody has chosen, so it is "not set": `tensor_split: 1` is the first."""
    return None if value == "" else to_count(value)


def to_shares(value: Any) -> Any:
    """`3,1` for three quarters and one quarter, by card; LocalAI has it as text. Only zeros are "not set"."""
    if not isinstance(value, str):
        return value
    shares = tuple(to_float(part.strip()) for part in value.split(",")) if value.strip() else ()
    return shares if any(shares) else ()


def to_word(value: Any) -> Any:
    """In small letters; an empty text is "not set"."""
    return (value.lower() or None) if isinstance(value, str) else value


def to_flash_attention(value: Any) -> Any:
    """LocalAI has had this key as a boolean and as a word."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str):
        return value
    word = value.lower()
    return "on" if word in _TRUE | {"enabled"} else "off" if word in _FALSE | {"disabled"} else word


Int = Annotated[int, BeforeValidator(to_int)]
Float = Annotated[float, BeforeValidator(to_float)]
Bool = Annotated[bool, BeforeValidator(to_bool)]
Count = Annotated[Annotated[int, Field(ge=1, le=MAX_INT32)] | None, BeforeValidator(to_count)]
Threads = Annotated[Annotated[int, Field(ge=1, le=MAX_THREADS)] | None, BeforeValidator(to_count)]
Batch = Annotated[Annotated[int, Field(ge=1, le=MAX_BATCH)] | None, BeforeValidator(to_count)]
Card = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(to_card)]
CountOrAll = Annotated[int, BeforeValidator(to_int), Field(ge=-1, le=MAX_INT32)]
Probability = Annotated[Float, Field(ge=0, le=1)]
Ratio = Annotated[Float, Field(ge=0), AfterValidator(lambda ratio: ratio or None)]
"""None for 0, by which LocalAI means "not set"."""
Factor = Annotated[Float, AfterValidator(lambda factor: factor if factor > 0 else None)]
"""None for 0, LocalAI's "not set", and for less, llama.cpp's."""
Shares = Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(to_shares)]
Words = Annotated[tuple[str, ...], BeforeValidator(to_list)]
