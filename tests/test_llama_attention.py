"""When llama.cpp computes attention with its flash kernels."""

from __future__ import annotations

import platform

import pytest

from core.llama.attention import Attention, flash_attention, pays_on_cpu

PATCHED, PLAIN = "CPU : AVX2 = 1 | F32_VALUE_SUMS = 1 | REPACK = 1 | ", "CPU : AVX2 = 1 | REPACK = 1 | "


@pytest.fixture(params=[PATCHED, PLAIN])
def info(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("core.llama.attention.system_info", lambda: request.param)
    return str(request.param)


@pytest.mark.parametrize("asked", [None, "auto"])
def test_a_cpu_does_without_unless_its_kernel_sums_in_float32(info: str, asked: Attention | None) -> None:
    assert flash_attention(asked) == ("auto" if info == PATCHED else "off")
    assert flash_attention(asked, on_gpu=True) == "auto"


@pytest.mark.usefixtures("info")
@pytest.mark.parametrize("on_gpu", [True, False])
def test_the_yaml_wins_and_what_values_need_wins_over_it(on_gpu: bool) -> None:
    assert flash_attention("on", on_gpu=on_gpu) == "on"
    assert flash_attention("off", on_gpu=on_gpu) == "off"
    assert flash_attention("off", on_gpu=on_gpu, needed=True) == "on"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="ggml.cmake changes attention on x86 alone")
def test_the_makefile_compiles_llama_cpp_with_ggml_cmake() -> None:
    assert pays_on_cpu(), "compiled without: remove .venv/.installed-llama, so that make compiles it anew"
