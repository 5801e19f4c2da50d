"""The log-probabilities that the llama.cpp of this process gives to the tokens of known texts.

usage: python -m tests.parity.known_tokens MODELS_FOLDER     writes {"backend": ..., "logprobs": [...]}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.errors import CoreError
from core.llama.dispatch import describe_backend
from core.llama.model import LlamaModel
from tests.parity.forced import after_prompt, forced, load_smollm, open_context
from tests.parity.test_parity import TEXTS

NUM_PROMPT = 8


def measure(model: LlamaModel) -> list[float]:
    """Of every text, first all together and then each alone: kernels differ by the number of rows."""
    texts = [model.tokenize(text, add_special=True, parse_special=False) for text in TEXTS]
    size = min(map(len, texts))
    found: list[float] = []
    for group in (texts, *([text] for text in texts)):
        with open_context(model, unified=False) as context:
            rows = after_prompt(context, [forced(text[:size], i) for i, text in enumerate(group)], NUM_PROMPT)
        for text, own in zip(group, rows, strict=True):
            found += [float(row[token]) for token, row in zip(text[NUM_PROMPT:size], own, strict=False)]
    return found


def main() -> None:
    try:
        model = load_smollm(Path(sys.argv[1]))
    except CoreError as error:
        sys.exit(error.message)
    print(json.dumps({"backend": describe_backend(), "logprobs": measure(model)}))
    model.close()


if __name__ == "__main__":
    main()
