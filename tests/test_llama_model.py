"""Opening a model by its config."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config.model import ModelConfig
from core.llama import model as llama_model
from core.llama.model import open_model

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.weights
@pytest.mark.parametrize(
    ("threads", "told"),
    [
        ({}, []),
        ({"threads": "2"}, []),
        ({"threads": "3"}, ["m: threads: 3: there are 2 CPUs"]),
        ({"threads": "2", "threads_batch": "1024"}, ["m: threads_batch: 1024: there are 2 CPUs"]),
    ],
)
def test_threads_beyond_the_cpus_are_told_with_their_key(
    models_folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    threads: dict[str, str],
    told: list[str],
) -> None:
    monkeypatch.setattr(llama_model, "available_cpus", lambda: 2)
    values = {"name": "m", "root": models_folder, "parameters": {"model": WEIGHTS}, **threads}
    open_model(ModelConfig.model_validate(values)).close()
    assert [message.partition(" here")[0] for message in caplog.messages if "CPUs" in message] == told
