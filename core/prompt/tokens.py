"""A prompt's text as the tokens that a model reads."""

from __future__ import annotations

import re
from typing import Protocol

from core.errors import InvalidRequest

MAX_RUN = 16_000
"""Characters of one kind in a row. llama.cpp cuts a text into words with std::regex for many vocabularies (Falcon, Phi,
DeepSeek, Mistral NeMo, GPT-4o's), which goes one call deeper for each character of a word: between 24,000 and 32,000 of
them are more than a thread's stack of 8 MiB holds, and the process ends."""

_RUNS = (
    re.compile(r"\s+"),
    re.compile(r"[^\s\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]+"),
    re.compile(r"(?:[!-~]|[^\w\s])+"),
)
"""What the words of any of those vocabularies lie within: space, letters and what is among them, signs. Scripts without
spaces have breaks at their punctuation, which no vocabulary puts into one word with letters."""


class Tokenizer(Protocol):
    @property
    def adds_bos(self) -> bool: ...
    @property
    def bos(self) -> int: ...
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...


def prompt_tokens(text: str, tokenizer: Tokenizer) -> list[int]:
    """With exactly one BOS where the model wants one, whether or not the text begins with it.

    Raises InvalidRequest for a text that llama.cpp cannot be given.
    """
    check_runs(text)
    tokens = tokenizer.tokenize(text, add_special=False, parse_special=True)
    if tokenizer.adds_bos and tokens[:1] != [tokenizer.bos]:
        tokens.insert(0, tokenizer.bos)
    return tokens


def check_runs(text: str) -> None:
    """Raise InvalidRequest if the text has more than MAX_RUN characters of one kind in a row."""
    if not any(_may_have_long_run(text, kind) for kind in _RUNS):
        return
    longest = max(found.end() - found.start() for kind in _RUNS for found in kind.finditer(text))
    if longest > MAX_RUN:
        raise InvalidRequest(
            f"the text has {longest} characters in a row without a break between words, and the tokenizer takes "
            f"{MAX_RUN}: put spaces or new lines into it, or leave that part out"
        )


def _may_have_long_run(text: str, kind: re.Pattern[str]) -> bool:
    """A look at the beginnings of some stretches, of which a run that is too long has one within it."""
    stretch = MAX_RUN // 2
    return any(kind.fullmatch(text, start, start + stretch) for start in range(0, len(text) - stretch, stretch))
