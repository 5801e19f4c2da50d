"""A folder as they are in the field: one good model among twelve mistakes."""

from __future__ import annotations

from pathlib import Path

from core.config.folder import read_folder
from tests.small_gguf import write_gguf

BROKEN = {
    "bad-yaml": "name: a\nparameters: [",
    "bad-type": "name: b\nparameters:\n  top_k: many\n  model: good.gguf",
    "bad-range": "name: c\nslots: 1000\nparameters: {model: good.gguf}",
    "no-model": "services: {web: {}}",
    "missing-weights": "name: e\nparameters:\n  model: e.gguf",
    "missing-template": "name: f\nparameters: {model: good.gguf}\ntemplate:\n  chat: nowhere",
    "bad-template": "name: g\nparameters: {model: good.gguf}\ntemplate:\n  chat: '{{if}}'",
    "lfs-pointer": "name: h\nparameters:\n  model: h.gguf",
    "old-weights": "name: i\nbackend: bert-embeddings\nparameters:\n  model: i.bin",
    "no-engine": "name: j\nbackend: vllm\nparameters: {model: good.gguf}",
    "outside": "name: k\nparameters:\n  model: ../k.gguf",
    "no-folder": "name: l\nbackend: sentencetransformers\nparameters:\n  model: l",
}


def test_twelve_broken_files_cost_nothing_but_themselves_and_each_is_told(tmp_path: Path) -> None:
    for stem, text in BROKEN.items():
        (tmp_path / f"{stem}.yaml").write_text(text)
    (tmp_path / "good.yaml").write_text("name: good\nparameters: {model: good.gguf}\ntemplate: {chat: '{{.Input}}'}")
    write_gguf(tmp_path / "good.gguf")
    (tmp_path / "h.gguf").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "i.bin").write_bytes(b"lmgg\x01\x00")
    (tmp_path / "l").mkdir()
    (tmp_path / "l/config.json").write_text("{}")

    folder = read_folder(tmp_path)

    errors = [problem for problem in folder.problems if problem.severity == "error"]
    assert sorted(Path(problem.file).stem for problem in errors) == sorted(BROKEN)
    assert folder.configs["good"].weights == tmp_path / "good.gguf"
    assert not [problem for problem in folder.problems if problem.model == "good"]
    for problem in errors:
        assert problem.line or Path(problem.file).stem == "no-model", problem
        assert problem.key or Path(problem.file).stem in ("no-model", "bad-yaml"), problem
        what, _, remedy = problem.message.partition(": ")
        assert what, problem
        assert remedy, problem
