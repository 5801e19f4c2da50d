"""With drafts and without: the same model, the same sampler, and a cache that is cut again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.engine.batch import Batch, Chunk
from core.engine.draft import MAX_DRAFTED, DraftGovernor
from core.engine.engine import Engine
from core.engine.prefill import PrefillPolicy
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sampling, Sequence
from core.engine.slots import Slots
from core.engine.step_cost import StepCost
from core.llama.model import LlamaModel
from tests.fakes import FREE_ROWS, Listener
from tests.parity.forced import BOUND, forced, load_smollm, logprobs, open_context
from tests.parity.test_parity import TEXTS

pytestmark = [pytest.mark.weights, pytest.mark.parametrize("unified", [True, False])]

SENTENCES = " ".join(f"{text}." for text in TEXTS[:3])
CHAT = "<|im_start|>user\nRepeat this text word for word: {text}<|im_end|>\n<|im_start|>assistant\n"
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Iterator[LlamaModel]:
    model = load_smollm(models_folder)
    yield model
    model.close()


def tokens_of(model: LlamaModel, text: str) -> list[int]:
    return model.tokenize(CHAT.format(text=text), add_special=False, parse_special=True)


def generate(
    model: LlamaModel,
    texts: list[str],
    sampling: Sampling,
    *,
    unified: bool,
    drafts: bool,
    count: int = 32,
    cache_type: str = "f16",
) -> list[Sequence]:
    """What the model answers to each text, all together."""
    governor = DraftGovernor(MAX_DRAFTED, unified=unified, cost=StepCost(FREE_ROWS, unified=unified))
    seqs = [Sequence(tokens_of(model, text), count, Listener(), sampling, looks_up=drafts) for text in texts]
    with open_context(model, unified=unified, max_drafted=MAX_DRAFTED, cache_type=cache_type) as context:
        slots = Slots(context, num_slots=4, num_holders=0, num_cells=4096)
        engine = Engine(context, Scheduler(slots, PrefillPolicy(512), governor if drafts else None))
        for seq in seqs:
            engine.submit(seq)
        for _ in range(count + 10):
            engine.step()
    assert all(seq.num_generated == count for seq in seqs)
    return seqs


def assert_same_up_to_a_near_tie(
    model: LlamaModel, seq: Sequence, other: Sequence, *, unified: bool, cache_type: str
) -> None:
    differs = next((i for i, (a, b) in enumerate(zip(seq.tokens, other.tokens, strict=True)) if a != b), None)
    if differs is None:
        return
    with open_context(model, unified=unified, cache_type=cache_type) as context:
        [row] = logprobs(context, [Chunk(forced(seq.tokens[:differs], 0), 0, differs, True)])
    best, second = np.sort(row)[:-3:-1]
    assert best - second < 2 * BOUND


@pytest.mark.parametrize("cache_type", ["f16", "q8_0"])
def test_greedy_text_with_drafts_is_the_same_up_to_a_near_tie(
    model: LlamaModel, unified: bool, cache_type: str
) -> None:
    texts = [SENTENCES, TEXTS[4]]
    plain = generate(model, texts, GREEDY, unified=unified, drafts=False, cache_type=cache_type)
    drafted = generate(model, texts, GREEDY, unified=unified, drafts=True, cache_type=cache_type)
    assert sum(seq.num_accepted for seq in drafted) > 20
    for a, b in zip(plain, drafted, strict=True):
        assert_same_up_to_a_near_tie(model, a, b, unified=unified, cache_type=cache_type)


@pytest.mark.parametrize("wrong_at", [None, 0, 7])
def test_a_draft_is_verified_with_the_draws_and_penalties_of_single_steps(
    model: LlamaModel, unified: bool, wrong_at: int | None
) -> None:
    """And a wrong one leaves no trace: the sampler stands where it stood, the cache is cut."""
    sampling = Sampling(temperature=0.5, top_k=20, repeat_penalty=1.02, presence_penalty=0.1, seed=11)
    [single] = generate(model, [SENTENCES], sampling, unified=unified, drafts=False, count=12)
    prompt, said = single.prompt, single.tokens[single.num_prompt :]
    draft = said[:10]
    if wrong_at is not None:
        draft[wrong_at] = said[wrong_at] + 1
    num_right = 10 if wrong_at is None else wrong_at
    with open_context(model, unified=unified, max_drafted=MAX_DRAFTED) as context:
        seq = Sequence(prompt, 48, Listener(), sampling)
        seq.slot_id = 0
        context.open(seq)
        [found] = context.decode(Batch((Chunk(seq, 0, len(prompt), True, tuple(draft)),)))
        assert found == said[: num_right + 1]
        seq.tokens += found
        end = len(seq.tokens)
        context.keep(0, end - 1)
        assert context.decode(Batch((Chunk(seq, end - 1, end, True),))) == [[said[num_right + 1]]]
