"""The tokens that prompts begin with, for each of a config's `prefixes:`.

What follows decides how the last tokens of a prefix are cut, and templates put things between one message and the next.
So each prefix is rendered with several continuations, and only what they have in common counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from core.config.model import ModelConfig
from core.config.prefixes import Prefix
from core.errors import CoreError, ModelUnusable
from core.prompt.prompts import Prompts
from core.prompt.tokens import Tokenizer, prompt_tokens

CONTINUATIONS = ("able", " Which", "\n\n1", ".")
"""How a text may go on: within a word, with a new one, on a new line, with a sign."""

QUESTIONS = ("Why is that?", "7 times 6")


def declared_prefixes(
    config: ModelConfig, prompts: Prompts, tokenizer: Tokenizer
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """By their key in the YAML: the tokens of the prefixes, and what is wrong with those that give none."""
    found, faults = {}, {}
    for index, prefix in enumerate(config.prefixes):
        if prefix.file is not None and prefix.text is None:
            continue  # which the folder's reader has told
        try:
            found[f"prefixes.{index}"] = _prefix_tokens(prefix, prompts, tokenizer)
        except CoreError as error:
            faults[f"prefixes.{index}"] = error.message
    return found, faults


def _prefix_tokens(prefix: Prefix, prompts: Prompts, tokenizer: Tokenizer) -> list[int]:
    """Raises CoreError for a prefix that no prompt would begin with."""
    common = _common([prompt_tokens(text, tokenizer) for text in _renderings(prefix, prompts)])
    if len(common) > tokenizer.adds_bos:
        return common
    raise ModelUnusable("no two prompts begin alike with it: the template puts something before it that changes")


def _renderings(prefix: Prefix, prompts: Prompts) -> Iterator[str]:
    if prefix.text is not None:
        yield from (prefix.text + continuation for continuation in CONTINUATIONS)
        return
    messages = [message.model_dump() for message in prefix.messages]
    for continuation in ("", *CONTINUATIONS):
        *before, last = messages
        begun: list[dict[str, Any]] = [*before, {**last, "content": last["content"] + continuation}]
        if last["role"] == "user":
            yield prompts.chat(begun)
        else:
            yield from (prompts.chat([*begun, {"role": "user", "content": question}]) for question in QUESTIONS)


def _common(lists: list[list[int]]) -> list[int]:
    columns = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*lists, strict=False))
    return [tokens[0] for tokens in columns]
