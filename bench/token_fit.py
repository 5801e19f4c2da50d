"""How many tokens a target makes of our words, by its own count, so that prompts get the length that was asked for.

Tokens of a user's message = nonces x `nonce` + words x `per_word`; the chat template adds `template` to every prompt.
Three short probes fit the three numbers. Exact to a few per cent: what was really counted is in every record, and a
stage that is off says so.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.text import nonce, words

PROBE_NONCES = 8
PROBE_WORDS = 120


@dataclass(frozen=True)
class TokenFit:
    """`template` is None where the target does not tell what it counts."""

    nonce: float
    per_word: float
    template: int | None

    def num_words(self, num_tokens: int, *, nonces: int) -> int:
        return max(1, round((num_tokens - nonces * self.nonce) / self.per_word))


USUAL = TokenFit(nonce=9.0, per_word=1.09, template=None)
"""Of eight hexadecimal digits with a colon, and of plain sentences, in the usual byte-pair vocabularies."""

Count = Callable[[str], Awaitable[int | None]]


async def fit_tokens(count: Count, run: str) -> TokenFit | None:
    """None where the target tells no count."""
    nonces = "\n".join(f"{nonce(run, 'probe', index)}:" for index in range(PROBE_NONCES))
    text = " ".join(words(random.Random(run), PROBE_WORDS))
    one_token, of_nonces, of_text = await count("x"), await count(nonces), await count(text)
    if one_token is None or of_nonces is None or of_text is None:
        return None
    template = one_token - 1
    return TokenFit((of_nonces - template) / PROBE_NONCES, (of_text - template) / PROBE_WORDS, template)
