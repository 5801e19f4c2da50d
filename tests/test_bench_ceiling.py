"""The bare loop on real weights."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from bench.deployment import read_deployment
from bench.errors import BenchError
from bench.targets.ceiling import Ceiling


@pytest.mark.weights
def test_the_bare_loop_times_every_token_of_every_sequence(models_folder: Path) -> None:
    ceiling = Ceiling(read_deployment(models_folder, "smollm2-135m-instruct"))
    job = {"prompts": ["one", "two three", "four five six"], "concurrency": 2, "num_tokens": 4}
    runs = ceiling.answer(json.dumps(job))
    assert [len(run["prompt_lengths"]) for run in runs] == [2, 1]
    assert [len(run["times"]) for run in runs] == [5, 5]
    assert all(earlier < later for run in runs for earlier, later in pairwise(run["times"]))
    assert ceiling.answer("\n") == []
    ceiling.close()


def test_a_model_that_leaves_a_compared_setting_open_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: m.gguf}\ncontext_size: 64\n")
    with pytest.raises(BenchError, match="set context_size and slots"):
        read_deployment(tmp_path, "m")


def test_an_unknown_model_is_refused_with_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("name: m\n")
    with pytest.raises(BenchError, match=r"no model 'n' in .*; it has m"):
        read_deployment(tmp_path, "n")
