"""The embedding library as a target, on real weights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.deployment import read_deployment
from bench.errors import BenchError
from bench.sample import Sample
from bench.stages import Closed
from bench.target_spec import TargetSpec
from bench.targets.library_target import LibraryTarget
from bench.targets.llama_server import server_command
from bench.workload import Prompt
from tests.minilm_gguf import convert_minilm

NAME = "all-minilm-l6-v2"
PROMPTS: Sequence[Prompt] = [["hello world"], ["one", "two or three words more"]]


def measured(models: Path, name: str, tmp_path: Path, concurrency: int) -> Sample:
    stage = Closed.model_validate(
        {"name": "s", "prompts": {"isl": 20}, "concurrency": concurrency, "requests": len(PROMPTS)}
    )
    sample = Sample("library", stage, 0)

    async def run() -> None:
        spec = TargetSpec(name="library", kind="bare")
        target = LibraryTarget(spec, models=models, name=name, log=tmp_path / "log")
        try:
            await target.start()
            await target.measure(PROMPTS, sample)
        finally:
            await target.stop()

    asyncio.run(run())
    return sample


@pytest.fixture(scope="module")
def gguf_folder(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf")
    convert_minilm(models_folder / "all-MiniLM-L6-v2", root / "m.gguf")
    (root / "m.yaml").write_text("name: m\nembeddings: true\ncontext_size: 256\nparameters: {model: m.gguf}\n")
    return root


@pytest.mark.weights
def test_all_texts_are_one_call_and_a_lone_client_makes_one_for_each(gguf_folder: Path, tmp_path: Path) -> None:
    together = measured(gguf_folder, "m", tmp_path, concurrency=2).records
    alone = measured(gguf_folder, "m", tmp_path, concurrency=1).records
    assert len({record.t_send for record in together}) == 1
    assert alone[0].t_end is not None
    assert alone[1].t_send is not None
    assert alone[0].t_end <= alone[1].t_send


@pytest.mark.weights
def test_both_libraries_count_the_same_tokens(models_folder: Path, gguf_folder: Path, tmp_path: Path) -> None:
    for models, name in ((models_folder, NAME), (gguf_folder, "m")):
        records = measured(models, name, tmp_path, concurrency=2).records
        assert [(record.texts, record.isl, record.ok) for record in records] == [(1, 4, True), (2, 10, True)]


@pytest.mark.weights
def test_llama_servers_are_told_to_embed(gguf_folder: Path) -> None:
    command = server_command("llama-server", read_deployment(gguf_folder, "m"), 1)
    assert "--embedding" in command
    assert command[command.index("--parallel") + 1] == "32"
    assert command[command.index("--ctx-size") + 1] == str(32 * 256)


@pytest.mark.weights
def test_llama_server_is_not_given_a_folder(models_folder: Path) -> None:
    with pytest.raises(BenchError, match="GGUF files only"):
        read_deployment(models_folder, NAME)
