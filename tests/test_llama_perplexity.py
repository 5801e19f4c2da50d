"""Quality of one form of a model against another: the arithmetic, and a context that gives log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.llama import perplexity
from core.llama.model import LlamaModel
from core.llama.perplexity import LogProbs, bos_of, compare, log_softmax, measure_quality, sample_text, split_windows
from core.llama.quantize import quantize
from tests.tiny_llama import write_tiny_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    source = write_tiny_llama(folder / "F16.gguf")
    for type in ("Q8_0", "Q2_K"):
        quantize(source, folder / f"{type}.gguf", type)
    return folder


@pytest.fixture
def tiny(folder: Path) -> Iterator[LlamaModel]:
    model = LlamaModel(folder / "F16.gguf")
    yield model
    model.close()


def test_the_figures_are_those_of_the_formulas() -> None:
    p, q = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]), np.array([[0.25, 0.5, 0.25], [0.1, 0.2, 0.7]])
    found = compare([np.log(p, dtype=np.float32)], [np.log(q, dtype=np.float32)], [0, 2])
    divergences = (p * np.log(p / q)).sum(axis=1)
    losses = np.array([math.log(0.5 / 0.25), math.log(0.8 / 0.7)])
    assert found.num_tokens == 2
    assert found.perplexity == pytest.approx((0.25 * 0.7) ** -0.5, rel=1e-5)
    assert found.reference_perplexity == pytest.approx((0.5 * 0.8) ** -0.5, rel=1e-5)
    error = np.std(-np.log([0.25, 0.7]), ddof=1) / math.sqrt(2)
    assert found.perplexity_error == pytest.approx(found.perplexity * error, rel=1e-5)
    assert found.divergence == pytest.approx(divergences.mean(), rel=1e-5)
    assert found.divergence_error == pytest.approx(divergences.std(ddof=1) / math.sqrt(2), rel=1e-4)
    assert found.log_ratio == pytest.approx(losses.mean(), rel=1e-5)
    assert found.log_ratio_error == pytest.approx(losses.std(ddof=1) / math.sqrt(2), rel=1e-4)
    assert found.change == pytest.approx(found.perplexity / found.reference_perplexity - 1, rel=1e-4)
    assert found.same_top == 0.5


def test_log_probabilities_of_large_logits_are_finite_and_add_up_to_one() -> None:
    logs = log_softmax(np.array([[1000.0, 999.0, -1000.0]], np.float32))
    assert np.isfinite(logs).all()
    assert np.exp(logs).sum() == pytest.approx(1)


def test_every_token_but_the_windows_first_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perplexity, "WINDOW", 10)
    monkeypatch.setattr(perplexity, "MIN_PREFIX", 2)
    windows = split_windows(range(100, 130), [7])
    assert [window[0] for window in windows] == [7, 7, 7, 7]
    assert [token for window in windows for token in window[1:]] == list(range(100, 130))
    assert split_windows(range(100, 129), [])[-1] == list(range(120, 129))
    assert split_windows(range(12), [])[-1] == list(range(10)), "two tokens are too few to score one"


def test_windows_give_one_row_for_each_token_that_is_scored(tiny: LlamaModel) -> None:
    windows = split_windows(tiny.tokenize(sample_text()[:700], add_special=False, parse_special=False), bos_of(tiny))
    scorer = LogProbs(tiny)
    blocks = list(scorer.of(windows))
    scorer.close()
    assert sum(len(block) for block in blocks) == sum(len(window) - perplexity.MIN_PREFIX - 1 for window in windows)
    assert all(block.shape[1] == tiny.num_vocab and len(block) <= perplexity.BATCH for block in blocks)


def test_a_model_does_not_diverge_from_itself_and_does_from_coarser_weights(folder: Path, tiny: LlamaModel) -> None:
    found = {}
    for name in ("F16", "Q8_0", "Q2_K"):
        other = LlamaModel(folder / f"{name}.gguf")
        found[name] = measure_quality(tiny, other, sample_text()[:700]).divergence
        other.close()
    assert found["F16"] == 0
    assert 0 < found["Q8_0"] < found["Q2_K"]


def test_the_text_is_long_enough_to_score_a_thousand_tokens() -> None:
    assert 6_000 < len(sample_text().encode()) < 20_000
