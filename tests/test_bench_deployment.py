"""Servers that are measured side by side are given the same work, as the model's YAML says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bench.deployment import Deployment, read_deployment
from bench.report.facts import setting
from bench.session import Session
from bench.target_spec import TargetSpec
from bench.targets import programs
from bench.targets.llama_server import server_command, server_params
from tests.small_gguf import write_gguf

SAID = """
flash_attention: on
cache_type_k: q8_0
cache_type_v: iq4_nl
rope_scaling: yarn
yarn_ext_factor: 0.5
yarn_attn_factor: 1.5
yarn_beta_fast: 30
yarn_beta_slow: 2
yarn_orig_ctx: 512
"""


def deployment(folder: Path, said: str = "", *, parameters: str = "") -> Deployment:
    write_gguf(folder / "m.gguf")
    own = f"name: m\ncontext_size: 64\nslots: 2\nthreads: 1\nparameters: {{model: m.gguf{parameters}}}\n"
    (folder / "m.yaml").write_text(own + said)
    return read_deployment(folder, "m")


def options(command: list[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(command) if name.startswith("--")}


@pytest.fixture
def everything(tmp_path: Path) -> Deployment:
    return deployment(tmp_path, SAID, parameters=", rope_freq_base: 20000, rope_freq_scale: 0.25")


def test_llama_server_is_told_all_that_changes_the_work_of_a_token(everything: Deployment) -> None:
    told = options(server_command("llama-server", everything, 1))
    assert (
        told.items()
        >= {
            "--flash-attn": "on",
            "--cache-type-k": "q8_0",
            "--cache-type-v": "iq4_nl",
            "--rope-scaling": "yarn",
            "--rope-freq-base": "20000.0",
            "--rope-freq-scale": "0.25",
            "--yarn-ext-factor": "0.5",
            "--yarn-attn-factor": "1.5",
            "--yarn-beta-fast": "30.0",
            "--yarn-beta-slow": "2.0",
            "--yarn-orig-ctx": "512",
        }.items()
    )


def test_the_one_of_xllamacpp_is_told_the_same(everything: Deployment) -> None:
    params = server_params(everything, 1)
    named = (params.flash_attn_type, params.cache_type_k, params.cache_type_v, params.rope_scaling_type)
    assert [value.name for value in named] == [
        "LLAMA_FLASH_ATTN_TYPE_ENABLED",
        "GGML_TYPE_Q8_0",
        "GGML_TYPE_IQ4_NL",
        "LLAMA_ROPE_SCALING_TYPE_YARN",
    ]
    assert (params.rope_freq_base, params.rope_freq_scale) == (20000, 0.25)
    assert (params.yarn_ext_factor, params.yarn_attn_factor, params.yarn_orig_ctx) == (0.5, 1.5, 512)
    assert (params.yarn_beta_fast, params.yarn_beta_slow) == (30, 2)


def test_llama_cpp_python_is_told_the_same_by_number(everything: Deployment) -> None:
    from llama_cpp import GGML_TYPE_IQ4_NL, GGML_TYPE_Q8_0, LLAMA_ROPE_SCALING_TYPE_YARN
    from llama_cpp.server.settings import ModelSettings, ServerSettings

    told = options(programs.llama_cpp_python(everything).command(1))
    names = ModelSettings.model_fields.keys()
    assert {name.removeprefix("--") for name in told} <= names | ServerSettings.model_fields.keys()
    settings = ModelSettings.model_validate({name: told[f"--{name}"] for name in names if f"--{name}" in told})
    assert settings.flash_attn
    assert (settings.type_k, settings.type_v) == (GGML_TYPE_Q8_0, GGML_TYPE_IQ4_NL)
    assert settings.rope_scaling_type == LLAMA_ROPE_SCALING_TYPE_YARN
    assert (settings.rope_freq_base, settings.yarn_beta_fast, settings.yarn_orig_ctx) == (20000, 30, 512)


def test_a_report_tells_them(everything: Deployment) -> None:
    result = Session("run", "s").result(complete=True, deployment=everything)
    assert setting(result).startswith("m.gguf, context 64, 2 slots, 1 threads, flash_attention on, cache_type_k q8_0, ")


def test_what_the_yaml_leaves_open_is_each_servers_own_choice(tmp_path: Path) -> None:
    silent = deployment(tmp_path)
    assert silent.context_keys == {}
    told = options(server_command("llama-server", silent, 1)) | options(programs.llama_cpp_python(silent).command(1))
    assert not [name for name in told if any(word in name for word in ("flash", "type", "rope", "yarn"))]


@pytest.mark.parametrize(
    ("of_target", "of_yaml", "told"),
    [
        ("auto", "", None),
        ("auto", "flash_attention: on", "on"),
        ("off", "flash_attention: on", "off"),
        ("on", "", "on"),
    ],
)
def test_a_targets_own_word_on_flash_attention_wins(
    tmp_path: Path, of_target: str, of_yaml: str, told: str | None
) -> None:
    spec = TargetSpec.model_validate({"name": "t", "kind": "llama-server", "flash_attention": of_target})
    command = programs.llama_server(deployment(tmp_path, of_yaml), spec.flash_attention).command(1)
    assert Deployment.from_json(command[-1]).context_keys.get("flash_attention") == told


def test_values_that_only_flash_attention_reads_switch_it_on_everywhere_as_with_us(tmp_path: Path) -> None:
    quantized = deployment(tmp_path, "cache_type_v: q8_0\n")
    assert options(server_command("llama-server", quantized, 1))["--flash-attn"] == "on"
    assert options(programs.llama_cpp_python(quantized).command(1))["--flash_attn"] == "True"
