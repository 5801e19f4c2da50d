from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.errors import ModelUnusable, StoreError
from core.store.add import add
from tests.small_gguf import CHATML, TOKENS, write_gguf
from tests.web import Web


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def config_of(models: Path, name: str) -> ModelConfig:
    """What the reader makes of the written YAML, which must have nothing to complain of."""
    folder = read_folder(models)
    assert [problem for problem in folder.problems if problem.file == str(models / f"{name}.yaml")] == []
    return folder.configs[name]


def test_a_file_in_the_folder_gets_a_yaml_that_says_what_is_in_it(models: Path) -> None:
    write_gguf(models / "Small-Q4_K_M.gguf")
    added = add("Small-Q4_K_M.gguf", models)
    assert (added.name, added.config, added.pulled) == ("small-q4_k_m", models / "small-q4_k_m.yaml", [])
    config = config_of(models, "small-q4_k_m")
    assert (config.backend, config.parameters.model) == ("llama-cpp", "Small-Q4_K_M.gguf")
    assert (config.context_size, config.slots, config.template.use_tokenizer_template) == (8192, 4, True)
    text = added.config.read_text()
    for fact in (
        "A small model",
        "llama, Q4_K_M",
        "trained with 32768",
        "1 MB of KV cache",
        '"<|im_end|>", an end token',
    ):
        assert fact in text


def test_a_file_elsewhere_is_copied(models: Path, tmp_path: Path) -> None:
    original = write_gguf(tmp_path / "w.gguf")
    add(str(original), models, "mine")
    assert (models / "w.gguf").read_bytes() == original.read_bytes()
    assert config_of(models, "mine").parameters.model == "w.gguf"


def test_an_address_is_pulled_and_its_query_is_nobodys_business(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.gguf": write_gguf(tmp_path / "w.gguf").read_bytes()}) as web:
        added = add(f"{web.url}/w.gguf?key=secret", models)
    assert [file.path for file in added.pulled] == [models / "w.gguf"]
    assert f"{web.url}/w.gguf" in added.config.read_text()
    assert "secret" not in added.config.read_text()


def test_a_short_window_is_taken_whole(models: Path) -> None:
    write_gguf(models / "w.gguf", context=2048)
    add("w.gguf", models)
    assert config_of(models, "w").context_size == 2048


@pytest.mark.parametrize(
    ("template", "stopwords"),
    [
        (CHATML.replace("<|im_end|>", "<|done|>"), ("<|done|>",)),
        ("{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}", ("### user:",)),
        ("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", ()),
    ],
)
def test_what_ends_a_turn_and_is_no_end_token_becomes_a_stop_string(
    models: Path, template: str, stopwords: tuple[str, ...]
) -> None:
    write_gguf(models / "w.gguf", template=template)
    add("w.gguf", models)
    assert config_of(models, "w").stopwords == stopwords


def test_a_known_end_token_that_the_vocabulary_lacks_is_a_stop_string(models: Path) -> None:
    write_gguf(models / "w.gguf", tokens=[token for token in TOKENS if token != "<|im_end|>"])
    add("w.gguf", models)
    assert config_of(models, "w").stopwords == ("<|im_end|>",)


def test_what_a_header_says_cannot_break_out_of_its_comment(models: Path) -> None:
    write_gguf(models / "w.gguf", name="evil\nname: other\x1b[2J", template=CHATML.replace("<|im_end|>", '<"\\\n>'))
    add("w.gguf", models)
    assert config_of(models, "w").stopwords == ('<"\\',)


def test_a_template_that_fails_is_named(models: Path) -> None:
    write_gguf(models / "w.gguf", template="{{ messages[7].content.nothing.at.all }}")
    assert "could not be tried" in add("w.gguf", models).config.read_text()


def test_weights_without_a_template_come_with_a_hint(models: Path) -> None:
    write_gguf(models / "w.gguf", template=None)
    added = add("w.gguf", models)
    assert "hold no chat template" in added.config.read_text()
    assert config_of(models, "w").template.use_tokenizer_template is None


def test_a_template_beside_the_weights_is_left_to_work(models: Path) -> None:
    write_gguf(models / "w.gguf")
    (models / "w.gguf.tmpl").write_text("{{.Input}}")
    add("w.gguf", models)
    assert config_of(models, "w").template.use_tokenizer_template is None


def test_an_embedding_model_is_told_by_its_architecture(models: Path) -> None:
    write_gguf(models / "w.gguf", "nomic-bert", template=None, context=512)
    add("w.gguf", models)
    config = config_of(models, "w")
    assert (config.embeddings, config.context_size) == (True, 512)


def test_a_sentence_transformers_folder_is_copied_and_served(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mini"
    (folder / "1_Pooling").mkdir(parents=True)
    for name in ("modules.json", "config.json", "1_Pooling/config.json"):
        (folder / name).write_text(json.dumps({}))
    (folder / "model.safetensors").write_bytes(os.urandom(2000))
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("not a part of the model")
    added = add(str(folder), models)
    assert len(added.pulled) == 4
    assert not (models / "mini/.git").exists()
    config = config_of(models, "mini")
    assert (config.backend, config.parameters.model, config.embeddings) == ("sentencetransformers", "mini", True)


def test_no_yaml_is_ever_overwritten_and_nothing_fetched_for_nothing(models: Path, tmp_path: Path) -> None:
    (models / "w.yml").write_text("name: other\n")
    with pytest.raises(StoreError, match=r"w\.yml is there already.*--name"):
        add(str(write_gguf(tmp_path / "w.gguf")), models)
    assert [path.name for path in models.iterdir()] == ["w.yml"]


def test_a_name_that_another_yaml_has_is_taken(models: Path) -> None:
    write_gguf(models / "w.gguf")
    (models / "a.yaml").write_text("name: w\nparameters: {model: w.gguf}\n")
    with pytest.raises(StoreError, match=r"a\.yaml is there already"):
        add("w.gguf", models)


@pytest.mark.parametrize("name", ["../w", ".w", "a b", "a/b"])
def test_a_name_that_is_no_file_name_is_refused(models: Path, name: str) -> None:
    write_gguf(models / "w.gguf")
    with pytest.raises(StoreError, match="cannot be a model's name"):
        add("w.gguf", models, name)


@pytest.mark.parametrize(("kind", "message"), [("adapter", "LoRA adapter"), ("mmproj", "picture half")])
def test_what_is_no_model_is_refused_before_it_is_copied(models: Path, tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(ModelUnusable, match=message):
        add(str(write_gguf(tmp_path / "w.gguf", kind=kind)), models)
    assert list(models.iterdir()) == []


def test_a_page_in_the_place_of_weights_leaves_nothing_behind(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Web({"/w.gguf": b"<!doctype html><title>Log in</title>"}) as web:
        for _ in range(2):
            with pytest.raises(ModelUnusable, match="is a web page, not weights"):
                add(f"{web.url}/w.gguf", models)
        assert [asked.method for asked in web.asked] == ["GET", "GET"]
    assert list(models.iterdir()) == []


def test_a_folder_that_is_no_embedding_model_is_refused(models: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelUnusable, match="no modules"):
        add(str(tmp_path / "folder"), models)


def test_a_path_that_leads_nowhere_is_named(models: Path) -> None:
    with pytest.raises(StoreError, match=r"absent\.gguf: there is no such file"):
        add("absent.gguf", models)


@pytest.mark.weights
def test_the_default_chat_model_needs_no_stop_string(models_folder: Path, models: Path) -> None:
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    (models / name).symlink_to(models_folder / name)
    text = add(name, models, "chat").config.read_text()
    for fact in ("llama, Q4_1", "trained with 8192", '"<|im_end|>", an end token'):
        assert fact in text
