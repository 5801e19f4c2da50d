from __future__ import annotations

from pathlib import Path

import pytest

from core.config.defaults import FolderDefaults
from handlers.settings import BadSetting, Settings, override


def test_without_variables_the_folder_is_models_and_all_of_it_is_loaded() -> None:
    assert Settings.from_environ({}) == Settings(Path("models"), None, False)


def test_localais_variables_are_read() -> None:
    settings = Settings.from_environ(
        {
            "MODELS_PATH": "/build/models",
            "ADDRESS": ":9000",
            "THREADS": "4",
            "CONTEXT_SIZE": "2048",
            "API_KEY": "one, two,",
            "PRELOAD_MODELS": "a, b",
            "DEBUG": "true",
            "WARMFN_DEFAULTS": "v2.8",
            "WARMFN_COMPAT": "strict",
            "WARMFN_DRAIN_SECONDS": "8",
            "CLOUD_RUN_TIMEOUT_SECONDS": "300",
            "WARMFN_EXECUTION_TIMEOUT": "0",
        }
    )
    assert settings == Settings(
        models=Path("/build/models"),
        preload=("a", "b"),
        debug=True,
        address=("0.0.0.0", 9000),
        api_keys=("one", "two"),
        folder_defaults=FolderDefaults(threads=4, context_size=2048, compat="strict", defaults="v2.8"),
        time_limits={"CLOUD_RUN_TIMEOUT_SECONDS": 300},
        drain_seconds=8,
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert Settings.from_environ({"ADDRESS": text}).address == address


@pytest.mark.parametrize(("text", "names"), [("", None), ("all", None), ("none", ()), ("a,b", ("a", "b"))])
def test_models_to_preload_are_names_or_all_or_none(text: str, names: tuple[str, ...] | None) -> None:
    assert Settings.from_environ({"PRELOAD_MODELS": text}).preload == names


def test_localais_list_of_installs_is_read_as_names_and_urls() -> None:
    text = '[{"url": "github:o/r/phi.yaml", "name": "phi-2"}, {"id": "gallery@bert"}, {"url": "https://h/orca.yaml"}]'
    settings = Settings.from_environ({"PRELOAD_MODELS": text})
    assert settings.preload == ()
    assert settings.installs == {
        "phi-2": "github:o/r/phi.yaml",
        "bert": "gallery@bert",
        "orca": "https://h/orca.yaml",
    }


@pytest.mark.parametrize(
    "variable",
    [
        {"ADDRESS": "8080"},
        {"ADDRESS": "host:http"},
        {"THREADS": "many"},
        {"THREADS": "100000"},
        {"CONTEXT_SIZE": "-5"},
        {"WARMFN_EXECUTION_TIMEOUT": "10m"},
        {"PRELOAD_MODELS": "[{"},
        {"PRELOAD_MODELS": "[1]"},
        {"WARMFN_DEFAULTS": "v1"},
        {"WARMFN_COMPAT": "loose"},
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_variable(variable: dict[str, str]) -> None:
    [(name, value)] = variable.items()
    with pytest.raises(BadSetting) as caught:
        Settings.from_environ(variable)
    assert caught.value.message.startswith(f"{name}={value!r} cannot be read: ")


def test_localais_longer_spelling_counts_before_the_short_one() -> None:
    environ = {"LOCALAI_API_KEY": "secret", "API_KEY": "other", "LOCALAI_ADDRESS": ":90", "LOCALAI_DEBUG": "1"}
    environ |= {"LOCALAI_MODELS_PATH": "/m", "LOCALAI_THREADS": "3", "LOCALAI_CONTEXT_SIZE": "", "CONTEXT_SIZE": "64"}
    settings = Settings.from_environ(environ | {"LOCALAI_PRELOAD_MODELS": "a"})
    assert settings == Settings(
        models=Path("/m"),
        preload=("a",),
        debug=True,
        address=("0.0.0.0", 90),
        api_keys=("secret",),
        folder_defaults=FolderDefaults(threads=3, context_size=64),
    )
    with pytest.raises(BadSetting, match="LOCALAI_THREADS='many'"):
        Settings.from_environ({"LOCALAI_THREADS": "many"})


def test_an_option_wins_over_either_spelling() -> None:
    environ = {"LOCALAI_THREADS": "3", "THREADS": "2"}
    override({"THREADS": "5"}, environ)
    assert Settings.from_environ(environ).folder_defaults.threads == 5
