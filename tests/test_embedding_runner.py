from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from core.errors import ContextLengthExceeded, DecodeFailed, InvalidRequest, ModelUnusable, ShuttingDown
from core.runners import embedding
from core.runners.embedding import MAX_INPUTS, EmbeddingRunner, Vectors, choose_budget, longest_input, unit_length

CLS, SEP = 1, 2


class CharacterModel:
    """A backend whose tokens are characters and whose vector is (length, first, last, 1) of the text."""

    max_tokens = 12
    dimensions = 4
    num_vocab = 128
    normalized = False
    batch_tokens = 40
    max_rows = 4

    def __init__(self) -> None:
        self.identity = {"weights": "characters"}
        self.batches: list[Sequence[Sequence[int]]] = []
        self.is_open = True

    def tokenize(self, texts: Sequence[str], *, add_special: bool) -> list[list[int]]:
        plain = [[ord(character) for character in text if character.isascii()] for text in texts]
        return [[CLS, *tokens, SEP] for tokens in plain] if add_special else plain

    def cost(self, lengths: Sequence[int]) -> int:
        return sum(lengths)

    def embed_batch(self, batch: Sequence[Sequence[int]]) -> Vectors:
        self.batches.append(batch)
        assert all(tokens[0] == CLS and tokens[-1] == SEP for tokens in batch)
        return np.array([vector(tokens[1:-1]) for tokens in batch], np.float32)

    def close(self) -> None:
        self.is_open = False


def vector(tokens: Sequence[int]) -> list[float]:
    return [len(tokens), tokens[0], tokens[-1], 1]


def vectors(*texts: str) -> list[list[float]]:
    return [vector([ord(character) for character in text]) for text in texts]


Open = Callable[..., EmbeddingRunner]


@pytest.fixture
def model() -> CharacterModel:
    return CharacterModel()


@pytest.fixture
def open_runner(model: CharacterModel) -> Iterator[Open]:
    runners: list[EmbeddingRunner] = []

    def build(*, normalize: bool = False) -> EmbeddingRunner:
        runners.append(EmbeddingRunner("chars", model, normalize=normalize))
        return runners[-1]

    yield build
    for runner in runners:
        runner.close()


def test_vectors_and_token_counts_come_in_the_order_of_the_inputs(open_runner: Open) -> None:
    texts = ["long text", "ab", "medium", "z"]
    embedded = open_runner().embed(texts).result()
    assert embedded.vectors.tolist() == vectors(*texts)
    assert embedded.vectors.dtype == np.float32
    assert embedded.num_tokens == [len(text) + 2 for text in texts]


def test_a_token_array_without_special_tokens_is_embedded_like_its_text(open_runner: Open) -> None:
    runner = open_runner()
    by_ids, by_text = runner.embed([[97, 98, 99]]).result(), runner.embed(["abc"]).result()
    assert by_ids.vectors.tolist() == by_text.vectors.tolist()
    assert by_ids.num_tokens == by_text.num_tokens == [5]


def test_too_long_an_input_is_refused_by_number_and_nothing_is_computed(
    open_runner: Open, model: CharacterModel
) -> None:
    runner = open_runner()
    for inputs in (["ok", "12345678901"], [[1], [97] * 11]):
        with pytest.raises(
            ContextLengthExceeded, match=r"input\[1\] is 13 tokens long; chars takes at most 12"
        ) as error:
            runner.embed(inputs)
        assert error.value.details == {"index": 1, "num_tokens": 13, "max_tokens": 12}
    assert model.batches == []
    assert runner.embed(["1234567890"]).result().num_tokens == [12]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([], "empty list"),
        (["a"] * (MAX_INPUTS + 1), "8193 entries and one request takes 8192: send several"),
        (["a", ""], r"input\[1\] is empty"),
        ([[97], []], r"input\[1\] is empty"),
        (["a", [97]], "mixes texts and token arrays"),
        ([[97, 128]], r"input\[0\]: token id 128 is not in 0..127"),
        ([[97], [-1]], r"input\[1\]: token id -1"),
    ],
)
def test_inputs_that_cannot_be_embedded_are_refused_by_name(open_runner: Open, inputs: list[str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as error:
        open_runner().embed(inputs)
    assert error.value.param == "input"


def test_dimensions_keep_the_leading_values(open_runner: Open) -> None:
    assert open_runner().embed(["ab", "c"], dimensions=2).result().vectors.tolist() == [[2, 97], [1, 99]]


def test_cut_vectors_are_renormalised_where_the_model_is_normalised(open_runner: Open) -> None:
    runner = open_runner(normalize=True)
    for dimensions in (None, 1, 2, 4):
        cut = runner.embed(["ab", "xyz"], dimensions=dimensions).result().vectors
        assert cut.shape == (2, dimensions or 4)
        assert np.allclose(np.linalg.norm(cut, axis=1), 1)
        assert np.allclose(cut, unit_length(np.array(vectors("ab", "xyz"), np.float32)[:, :dimensions]))


@pytest.mark.parametrize("dimensions", [0, -1, 5])
def test_dimensions_the_model_does_not_have_are_refused(open_runner: Open, dimensions: int) -> None:
    with pytest.raises(InvalidRequest, match="chars gives 1 to 4") as error:
        open_runner().embed(["a"], dimensions=dimensions)
    assert error.value.param == "dimensions"


def test_a_vector_that_is_not_finite_is_an_error_and_never_a_result(open_runner: Open, model: CharacterModel) -> None:
    model.embed_batch = lambda batch: np.full((len(batch), 4), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(DecodeFailed, match="NaN"):
        open_runner().embed(["a"]).result()


def test_warming_computes_the_longest_input(open_runner: Open, model: CharacterModel) -> None:
    open_runner().warm()
    assert max(len(tokens) for batch in model.batches for tokens in batch) == model.max_tokens


def test_closing_frees_the_model_and_refuses_calls(open_runner: Open, model: CharacterModel) -> None:
    runner = open_runner()
    runner.close()
    assert not model.is_open
    with pytest.raises(ShuttingDown):
        runner.embed(["a"])


def test_facts_name_the_limits_and_whether_vectors_are_normalised(open_runner: Open) -> None:
    limits = {"max_tokens": 12, "dimensions": 4, "weights": "characters"}
    assert open_runner(normalize=True).facts == limits | {"normalized": True}
    assert open_runner().facts == limits | {"normalized": False}


def test_a_vector_of_zeros_stays_zero_when_normalised() -> None:
    assert unit_length(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    ("asked", "own", "bound", "limit"),
    [
        (None, 256, 512, 256),
        (400, 256, 512, 400),
        (None, 10**30, 512, 512),
        (64, None, None, 64),
        (None, None, 512, 512),
    ],
)
def test_the_longest_input_is_context_size_or_the_models_own_limit(
    asked: int | None, own: int | None, bound: int | None, limit: int
) -> None:
    assert longest_input("m", asked=asked, own=own, bound=bound) == limit


def test_a_context_size_beyond_the_networks_positions_is_cut_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert longest_input("m", asked=9000, own=256, bound=512) == 512
    assert "context_size 9000" in caplog.text


def test_a_model_of_unknown_limits_asks_for_context_size() -> None:
    with pytest.raises(ModelUnusable, match="set context_size"):
        longest_input("m", asked=None, own=None, bound=None)


@pytest.mark.parametrize(
    ("speeds", "most", "budget"),
    [
        ({256: 5000, 512: 5100}, 1024, 256),
        ({256: 5000, 512: 5600, 1024: 5650}, 1024, 512),
        ({256: 5000, 512: 6000, 1024: 7000}, 1024, 1024),
        ({256: 5000, 512: 6000}, 1000, 512),
        ({40: 5000}, 40, 40),
        ({256: 300}, 1024, 256),  # a second for a batch of 300 is too long already
    ],
)
def test_batches_grow_only_as_far_as_it_pays(speeds: dict[int, float], most: int, budget: int) -> None:
    assert choose_budget(speeds.__getitem__, most) == budget


def test_warming_up_calibrates_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "choose_budget", lambda tokens_per_second, most: min(most, 8))
    for calibrates, rows in ((True, 2), (False, 4)):
        model = CharacterModel()
        runner = EmbeddingRunner("m", model, calibrates=calibrates)
        runner.warm()
        model.batches.clear()
        runner.embed(["ab"] * 10).result()
        assert max(map(len, model.batches)) == rows
        runner.close()


def test_each_budget_is_tried_in_one_batch_that_fills_most_of_it(model: CharacterModel) -> None:
    model.batch_tokens = 80
    runner = EmbeddingRunner("m", model)
    model.batches.clear()
    assert runner._tokens_per_second(60) > 0
    costs = [model.cost([len(tokens) for tokens in batch]) for batch in model.batches]
    assert costs == [48, 48], "four inputs of twelve tokens, twice"
    runner.close()
