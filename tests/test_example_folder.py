"""The models folder of this repository: its YAMLs serve what `warmfn pull` fetches, with the published prompts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config.folder import ModelsFolder, read_folder
from core.prompt.lint import lint
from core.prompt.localai import LocalAIPrompts
from core.store.gallery import Gallery, read_gallery
from handlers.boot import not_pulled
from tests.conftest import MODELS, copy_examples
from tests.test_prompt_lint import Words

SHARED = Path(__file__).parents[2] / "shared/models"

MADE = {"smollm2-135m-instruct-fast": "smollm2-135m-instruct"}
"""Models that are made of others -> those."""
ALL = sorted(file.stem for file in MODELS.glob("*.yaml") if file.name != "gallery.yaml")
PULLED = sorted(set(ALL) - MADE.keys())
VOCABULARIES = {
    "mistral-7b-instruct": Words(adds_bos=True),
    "phi-2": Words(bos="<|endoftext|>"),
    "orca": Words("<|im_start|>", adds_bos=True),
    "airoboros": Words(adds_bos=True),
}
SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "Ada."},
    {"role": "user", "content": "When?"},
]
PROMPTS = {
    "mistral-7b-instruct": "[INST] Who? [/INST] Ada.</s>[INST] When? [/INST]",
    "phi-2": "Instruct: Who?\nOutput: Ada.\nInstruct: When?\nOutput:",
    "orca": (
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nAda.<|im_end|>\n"
        "<|im_start|>user\nWhen?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "airoboros": "A chat.\nUSER: Who?\nASSISTANT: Ada.</s>USER: When?\nASSISTANT:",
}
PROMPTS_WITH_SYSTEM = {
    "mistral-7b-instruct": "[INST] Be brief.\n\nWho? [/INST]",
    "phi-2": "Be brief.\nInstruct: Who?\nOutput:",
    "orca": ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"),
    "airoboros": "Be brief.\nUSER: Who?\nASSISTANT:",
}
EDITS = {
    "mistral-7b-instruct": "[INST] Shorten.\n\nA text. [/INST]",
    "phi-2": "Instruct: Shorten.\nA text.\nOutput:",
    "orca": ("<|im_start|>system\nShorten.<|im_end|>\n<|im_start|>user\nA text.<|im_end|>\n<|im_start|>assistant\n"),
    "airoboros": "A chat.\nUSER: Shorten.\nA text.\nASSISTANT:",
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> ModelsFolder:
    folder = tmp_path_factory.mktemp("models")
    copy_examples(folder)
    return read_folder(folder)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return read_gallery(MODELS / "gallery.yaml")


def prompts(examples: ModelsFolder, name: str) -> LocalAIPrompts:
    return LocalAIPrompts(examples.configs[name])


def test_nothing_is_wrong_but_that_no_weights_are_here(examples: ModelsFolder) -> None:
    assert sorted(examples.configs) == ALL
    assert sorted(str(problem.model) for problem in examples.problems) == ALL
    for problem in examples.problems:
        assert problem.key == "parameters.model"
        remedy = "optimize" if problem.model in MADE else "pull"
        assert f"run `warmfn {remedy} {problem.model}`" in problem.message
        assert problem.is_pending
    assert sorted(not_pulled(examples)) == ALL


def test_each_model_is_in_the_gallery_which_puts_its_weights_where_the_yaml_looks(
    examples: ModelsFolder, gallery: Gallery
) -> None:
    assert {name: entry.files[0].target for name, entry in gallery.entries.items()} == {
        name: examples.configs[name].parameters.model for name in PULLED
    }


def test_a_model_that_is_made_of_another_says_of_which(examples: ModelsFolder) -> None:
    assert {name: config.optimized_from for name, config in examples.configs.items() if config.optimized_from} == MADE


def test_each_hub_file_with_a_hash_is_of_a_fixed_revision(gallery: Gallery) -> None:
    items = [item for entry in gallery.entries.values() for item in entry.files]
    assert all("@" in item.source for item in items if item.sha256 and item.source.startswith("hf:"))


@pytest.mark.parametrize("name", ALL)
def test_each_says_how_long_a_text_may_be_and_what_memory_it_takes(examples: ModelsFolder, name: str) -> None:
    assert examples.configs[name].context_size
    assert "# Memory: " in (MODELS / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", ALL)
def test_the_gallery_and_the_yaml_agree_on_the_cache_of_a_token(gallery: Gallery, name: str) -> None:
    stated = re.search(r"= ([\d.]+) KiB for a token", (MODELS / f"{name}.yaml").read_text())
    assert gallery.entries[MADE.get(name, name)].kv_bytes_per_token == (float(stated[1]) * 1024 if stated else 0)


@pytest.mark.parametrize("name", PROMPTS)
def test_chat_prompts_are_the_published_ones(examples: ModelsFolder, name: str) -> None:
    assert prompts(examples, name).chat(TURNS) == PROMPTS[name]
    assert prompts(examples, name).chat([SYSTEM, TURNS[0]]) == PROMPTS_WITH_SYSTEM[name]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_completion_goes_on_with_the_text_and_an_edit_shows_both_parts(examples: ModelsFolder, name: str) -> None:
    assert prompts(examples, name).completion("Once upon\n") == "Once upon\n"
    assert prompts(examples, name).edit("A text.", "Shorten.") == EDITS[name]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_stop_string_stands_between_an_answer_and_the_next_question(examples: ModelsFolder, name: str) -> None:
    between = prompts(examples, name).chat(TURNS).partition("Ada.")[2].partition("When?")[0]
    assert any(stop in between for stop in examples.configs[name].stopwords)


@pytest.mark.parametrize("name", PROMPTS)
def test_the_doctor_finds_nothing(examples: ModelsFolder, name: str) -> None:
    assert lint(examples.configs[name], None, VOCABULARIES[name]) == []


def test_mistrals_tokens_are_those_its_publisher_describes(examples: ModelsFolder, tmp_path: Path) -> None:
    """Begin token, then each piece tokenized on its own, an end token after each answer."""
    vocabulary = llama_vocabulary(tmp_path)

    def pieces(*texts: str) -> list[int]:
        tokenized = (vocabulary.tokenize(text, add_special=False, parse_special=False) for text in texts)
        return [token for tokens in tokenized for token in tokens]

    (end,) = vocabulary.end_tokens
    expected = [
        vocabulary.bos,
        *pieces("[INST]", "Who?", "[/INST]", "Ada."),
        end,
        *pieces("[INST]", "When?", "[/INST]"),
    ]
    prompt = prompts(examples, "mistral-7b-instruct").chat(TURNS)
    assert vocabulary.tokenize(prompt, add_special=True, parse_special=True) == expected
    vocabulary.close()


def llama_vocabulary(folder: Path) -> Any:
    """Llama's tokenizer, which Mistral 7B has too, around almost no weights."""
    if not SHARED.exists():
        pytest.skip("../shared/models is not there")
    from core.llama.model import LlamaModel

    source, target = SHARED / "ggml-vocab-llama-spm.gguf", folder / "tiny.gguf"
    subprocess.run([sys.executable, SHARED / "synth_gguf.py", "tiny", source, target], check=True, capture_output=True)
    return LlamaModel(target, vocab_only=True)
