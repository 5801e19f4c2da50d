"""The curl commands that people have for LocalAI, against `warmfn serve` on our examples with small weights in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import MODELS, copy_examples
from tests.minilm_gguf import convert_minilm

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

TEXT = "A long time ago in a galaxy far, far away"
EMBEDDED = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def folder(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`orca` has SmolLM2's weights, whose chat format is the same; `bert` and `mpnet` have MiniLM's, as a GGUF and as a
    folder. The other models are not pulled."""
    folder = tmp_path_factory.mktemp("models")
    copy_examples(folder)
    (folder / "orca-2-7b.Q4_K_M.gguf").symlink_to(models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    (folder / "multi-qa-mpnet-base-dot-v1").symlink_to(models_folder / EMBEDDED)
    convert_minilm(models_folder / EMBEDDED, folder / "all-MiniLM-L6-v2-Q8_0.gguf")
    return folder


@pytest.fixture(scope="module")
def greeting(folder: Path) -> Iterator[list[str]]:
    """What `warmfn serve` prints once it serves, while it does."""
    command = [sys.executable, "-m", "handlers.cli", "serve", "--models", str(folder), "--port", "0"]
    with subprocess.Popen(command, cwd=MODELS.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.strip().startswith("curl"):
                break
        yield lines
        process.terminate()


@pytest.fixture(scope="module")
def url(greeting: list[str]) -> str:
    return next(line.removeprefix("Serving ") for line in greeting if line.startswith("Serving "))


def curl(address: str, body: dict[str, Any] | None = None) -> str:
    data = ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body else []
    command = ["curl", "--silent", "--show-error", "--no-buffer", address, *data]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def vectors(url: str, model: str) -> np.ndarray[Any, Any]:
    reply = json.loads(curl(f"{url}/embeddings", {"model": model, "input": [TEXT, "Hello!"]}))
    return np.array([each["embedding"] for each in reply["data"]])


def own_vectors(models_folder: Path) -> np.ndarray[Any, Any]:
    from sentence_transformers import SentenceTransformer

    return np.asarray(SentenceTransformer(str(models_folder / EMBEDDED), device="cpu").encode([TEXT, "Hello!"]))


def test_the_start_tells_what_is_served_and_what_is_not_pulled(greeting: list[str]) -> None:
    assert {"orca  text  ready", "bert  embedding  ready", "mpnet  embedding  ready"} <= set(greeting)
    (line,) = [line for line in greeting if line.startswith("Not pulled: ")]
    assert "airoboros, all-minilm-l6-v2, mistral-7b-instruct, phi-2, smollm2-135m-instruct" in line
    assert not any("failed" in line for line in greeting)


def test_models_are_listed(url: str) -> None:
    listed = {model["id"]: model["state"] for model in json.loads(curl(f"{url}/models"))["data"]}
    assert listed["orca"] == listed["bert"] == listed["mpnet"] == "ready"
    assert listed["phi-2"] == "unloaded"


def test_chat_is_streamed(url: str) -> None:
    messages = [{"role": "user", "content": "How are you?"}]
    body = {"model": "orca", "messages": messages, "temperature": 0.7, "max_tokens": 60, "stream": True}
    *events, last = [line for line in curl(f"{url}/chat/completions", body).splitlines() if line]
    assert last == "data: [DONE]"
    choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert text.strip()
    assert "<|im_" not in text
    assert choices[0]["delta"]["role"] == "assistant"
    assert choices[-1]["finish_reason"] in ("stop", "length")


def test_an_answer_is_to_the_point_and_ends(url: str) -> None:
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Name the planets."},
    ]
    reply = json.loads(curl(f"{url}/chat/completions", {"model": "orca", "messages": messages, "temperature": 0}))
    assert "Jupiter" in reply["choices"][0]["message"]["content"]
    assert reply["choices"][0]["finish_reason"] == "stop"


def test_a_completion_goes_on_with_the_text(url: str) -> None:
    body = {"model": "orca", "prompt": TEXT, "temperature": 0.7, "max_tokens": 20}
    assert json.loads(curl(f"{url}/completions", body))["choices"][0]["text"].strip()


def test_an_edit_follows_its_instruction(url: str) -> None:
    body = {"model": "orca", "instruction": "rephrase", "input": "Black cat jumped out of the window", "max_tokens": 60}
    reply = json.loads(curl(f"{url}/edits", body | {"temperature": 0}))
    assert reply["object"] == "edit"
    assert "cat" in reply["choices"][0]["text"]


def test_bert_gives_the_vectors_of_sentence_transformers(url: str, models_folder: Path) -> None:
    ours, theirs = vectors(url, "bert"), own_vectors(models_folder)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert ((ours * theirs).sum(axis=1) / lengths).min() >= 0.999


def test_mpnet_gives_the_vectors_of_sentence_transformers(url: str, models_folder: Path) -> None:
    np.testing.assert_allclose(vectors(url, "mpnet"), own_vectors(models_folder), atol=1e-5)


def test_what_is_not_pulled_says_how_to_pull_it(url: str) -> None:
    reply = json.loads(curl(f"{url}/completions", {"model": "phi-2", "prompt": TEXT}))
    assert "`warmfn pull phi-2`" in reply["error"]["message"]
