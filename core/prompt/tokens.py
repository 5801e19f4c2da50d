"""A prompt's text as the tokens that a model reads."""

from __future__ import annotations

from typing import Protocol


class Tokenizer(Protocol):
    @property
    def adds_bos(self) -> bool: ...
    @property
    def bos(self) -> int: ...
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...


def prompt_tokens(text: str, tokenizer: Tokenizer) -> list[int]:
    """With exactly one BOS where the model wants one, whether or not the text begins with it."""
    tokens = tokenizer.tokenize(text, add_special=False, parse_special=True)
    if tokenizer.adds_bos and tokens[:1] != [tokenizer.bos]:
        tokens.insert(0, tokenizer.bos)
    return tokens
