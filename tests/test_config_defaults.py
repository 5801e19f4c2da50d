from __future__ import annotations

from pathlib import Path

from core.config.defaults import sampling_defaults
from core.config.model import ModelConfig


def config(**values: object) -> ModelConfig:
    return ModelConfig.model_validate({"name": "m", "root": Path("models"), **values})


def test_localais_defaults_of_today_are_ours() -> None:
    assert sampling_defaults(config()) == {"temperature": 0.9, "top_k": 40, "top_p": 0.95}


def test_in_v28_unset_values_are_gos_zeros() -> None:
    assert sampling_defaults(config(defaults="v2.8")) == {"temperature": 0, "top_k": 0, "top_p": 0, "seed": 0}


def test_a_seed_of_minus_one_stays_random_in_v28() -> None:
    assert "seed" not in sampling_defaults(config(defaults="v2.8", parameters={"seed": "-1"}))


def test_mirostat_stands_beside_the_parameters() -> None:
    assert sampling_defaults(config(mirostat="2", mirostat_tau="4"))["mirostat_tau"] == 4
