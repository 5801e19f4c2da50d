"""Batched and alone, reused and fresh prefix: the same model must be at work.

Bitwise equality cannot hold, since kernels differ by batch shape. So: forced log-probabilities within a bound, and
greedy text equal up to the first near-tie inside that bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.engine.batch import Chunk
from core.llama.model import LlamaModel
from tests.parity.forced import BOUND, MEDIAN_BOUND, Rows, after_prompt, forced, load_smollm, logprobs, open_context

pytestmark = [pytest.mark.weights, pytest.mark.parametrize("unified", [True, False])]

TEXTS = [
    "The capital of France is Paris, and its river is the Seine. Many bridges cross it, and the oldest of them is",
    "To bake bread you need flour, water, salt and yeast. First the dough is kneaded, and then it has to rest until it",
    "A binary search looks at the middle of a sorted list and then goes on in one half of it, so that it takes",
    "When the train had left the station, she sat down at the window, opened her book and began to read about the sea",
    "In 1969 two people walked on the Moon for the first time. They stayed for less than a day and brought back stones",
    "Bees live in colonies with one queen and thousands of workers, who collect nectar and pollen and turn them into",
    "A contract is an agreement between two or more parties. To be valid it needs an offer, an acceptance of it",
    "The orchestra tuned its instruments while the last guests looked for their seats; then the lights went down and a",
]


@dataclass
class Saved:
    """A prefix as a context gave it away."""

    tokens: list[int]
    state: bytearray
    is_ready = True

    def read(self) -> bytearray:
        return self.state


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Iterator[LlamaModel]:
    model = load_smollm(models_folder)
    yield model
    model.close()


@pytest.fixture(scope="module")
def tokens(model: LlamaModel) -> list[list[int]]:
    """Eight texts of the same length, so that they run in lockstep."""
    found = [model.tokenize(text, add_special=True, parse_special=False) for text in TEXTS]
    size = min(map(len, found))
    return [text[:size] for text in found]


def differences(tokens: list[int], num_prompt: int, a: list[Rows], b: list[Rows]) -> list[float]:
    """Of the log-probability of each known next token."""
    known = tokens[num_prompt:]
    return [abs(float(x[token] - y[token])) for token, x, y in zip(known, a, b, strict=False)]


def assert_within_bound(found: list[float]) -> None:
    assert max(found) < BOUND
    assert np.median(found) < MEDIAN_BOUND


def test_batched_matches_single_within_bound(model: LlamaModel, tokens: list[list[int]], unified: bool) -> None:
    with open_context(model, unified=unified) as context:
        together = after_prompt(context, [forced(text, i) for i, text in enumerate(tokens)], num_prompt=8)
    found: list[float] = []
    for i, text in enumerate(tokens):
        with open_context(model, unified=unified) as context:
            [alone] = after_prompt(context, [forced(text, 0)], num_prompt=8)
        found += differences(text, 8, alone, together[i])
    assert_within_bound(found)


@pytest.mark.parametrize("cache_type", ["f16", "q8_0", "q4_0"])
def test_a_reused_prefix_matches_a_fresh_one_within_bound(
    model: LlamaModel, tokens: list[list[int]], unified: bool, cache_type: str
) -> None:
    prefix = [token for text in tokens[:4] for token in text]
    text = [*prefix, *tokens[4]]
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        [fresh] = after_prompt(context, [forced(text, 0)], num_prompt=len(prefix) + 4)
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        holder = forced([*prefix, *tokens[5]], 0)
        logprobs(context, [Chunk(holder, 0, len(holder.tokens), True)])
        context.copy(0, 1, len(prefix))
        seq = forced(text, 1)
        reused = logprobs(context, [Chunk(seq, len(prefix), len(prefix) + 4, True)])
        for position in range(len(prefix) + 4, len(text)):
            reused += logprobs(context, [Chunk(seq, position, position + 1, True)])
    assert_within_bound(differences(text, len(prefix) + 4, fresh, reused))


@pytest.mark.parametrize("cache_type", ["f16", "q8_0", "q4_0"])
def test_a_prefix_that_is_read_back_matches_a_fresh_one_within_bound(
    model: LlamaModel, tokens: list[list[int]], unified: bool, cache_type: str
) -> None:
    prefix = [token for text in tokens[:4] for token in text]
    text = [*prefix, *tokens[4]]
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        [fresh] = after_prompt(context, [forced(text, 0)], num_prompt=len(prefix) + 4)
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        logprobs(context, [Chunk(forced(prefix, 3), 0, len(prefix), True)])
        stored = Saved(prefix, context.save(3))
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        other = forced(tokens[5], 1)
        logprobs(context, [Chunk(other, 0, len(other.tokens), True)])
        assert context.restore(2, stored)
        seq = forced(text, 2)
        restored = logprobs(context, [Chunk(seq, len(prefix), len(prefix) + 4, True)])
        for position in range(len(prefix) + 4, len(text)):
            restored += logprobs(context, [Chunk(seq, position, position + 1, True)])
    assert_within_bound(differences(text, len(prefix) + 4, fresh, restored))


def test_greedy_text_is_the_same_up_to_a_near_tie(model: LlamaModel, tokens: list[list[int]], unified: bool) -> None:
    together = greedy(model, tokens, unified=unified, together=True)
    alone = greedy(model, tokens, unified=unified, together=False)
    for (words, rows), (other, _) in zip(alone, together, strict=True):
        differs = next((i for i, (a, b) in enumerate(zip(words, other, strict=True)) if a != b), None)
        if differs is not None:
            best, second = np.sort(rows[differs])[:-3:-1]
            assert best - second < 2 * BOUND


def greedy(
    model: LlamaModel, prompts: list[list[int]], *, unified: bool, together: bool
) -> list[tuple[list[int], list[Rows]]]:
    """24 greedy tokens after each prompt, and the log-probabilities they were chosen from."""
    groups = [prompts] if together else [[prompt] for prompt in prompts]
    found: list[tuple[list[int], list[Rows]]] = []
    for group in groups:
        seqs = [forced(prompt, i) for i, prompt in enumerate(group)]
        chosen: list[list[Rows]] = [[] for _ in seqs]
        with open_context(model, unified=unified) as context:
            start = 0
            for _ in range(24):
                end = len(seqs[0].tokens)
                rows = logprobs(context, [Chunk(seq, start, end, True) for seq in seqs])
                for seq, own, row in zip(seqs, chosen, rows, strict=True):
                    own.append(row)
                    seq.tokens.append(int(row.argmax()))
                start = end
        found += [(seq.tokens[len(seq.prompt) :], own) for seq, own in zip(seqs, chosen, strict=True)]
    return found
