"""Pack files and their folder: what is stale or damaged is named, and never handed on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from core.config.folder import read_folder
from core.config.model import ModelConfig
from core.errors import StoreError
from core.packs import pack_file
from core.packs.fingerprint import fingerprint
from core.packs.folder import SERVED, Pack, PackFolder
from core.packs.pack_file import PackHeader, read_header, read_pack, write_pack
from handlers.cli import main
from tests.small_gguf import write_gguf

LAYOUT = {"llama_cpp": "1", "unified": False, "num_seqs": 4, "rope_freq_base": None}
TOKENS = [5, 6, 7]


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    write_gguf(tmp_path / "w.gguf")
    (tmp_path / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\n")
    return read_folder(tmp_path).configs["m"]


def written(config: ModelConfig, tokens: list[int] = TOKENS, source: str = SERVED, size: int = 1000) -> Pack:
    return PackFolder(config, LAYOUT).write(tokens, source, bytearray(os.urandom(size)), 1.5)


def usable(config: ModelConfig, layout: Any = LAYOUT) -> list[list[int]]:
    return [pack.tokens for pack in PackFolder(config, layout).packs()[0]]


def faults(config: ModelConfig, layout: Any = LAYOUT, *, thoroughly: bool = False) -> list[str]:
    return PackFolder(config, layout).packs(thoroughly=thoroughly)[1]


def test_a_pack_is_read_as_it_was_written(tmp_path: Path, config: ModelConfig) -> None:
    header = PackHeader("m", "prefixes.0", TOKENS, fingerprint(config.weights), LAYOUT, 1000, 1.5)
    state = bytearray(os.urandom(1000))
    write_pack(tmp_path / "deep/er/x.pack", header, state)
    assert read_pack(tmp_path / "deep/er/x.pack")[:2] == (header, state)
    assert read_header(tmp_path / "deep/er/x.pack") == header
    assert os.listdir(tmp_path / "deep/er") == ["x.pack"], "nothing is left of the writing"


def test_whatever_happens_to_a_byte_of_a_pack_is_noticed(config: ModelConfig) -> None:
    pack = written(config, size=200)
    whole = pack.path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        pack.path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"is damaged, .*: remove it and run `warmfn pack` again"):
            read_pack(pack.path)
    for cut in (*range(0, len(whole), 7), len(whole) - 1):
        pack.path.write_bytes(whole[:cut])
        with pytest.raises(StoreError, match="is damaged"):
            read_header(pack.path)
    pack.path.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match="bytes instead of"):
        read_header(pack.path)


def test_damaged_cells_are_refused_when_they_are_asked_for(config: ModelConfig, caplog: Any) -> None:
    pack = written(config)
    data = bytearray(pack.path.read_bytes())
    data[-500] ^= 1
    pack.path.write_bytes(data)
    assert faults(config) == [], "headers alone do not tell"
    [fault] = faults(config, thoroughly=True)
    assert fault.startswith(f"{pack.path}: this pack is damaged")
    assert pack.read() is None
    assert "its cells have another SHA-256" in caplog.text


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of everything that `read_pack` compares with a SHA-256."""
    sizes: list[int] = []
    original = pack_file._sha256

    def recorded(data: bytes | bytearray) -> bytes:
        sizes.append(len(data))
        return original(data)

    monkeypatch.setattr(pack_file, "_sha256", recorded)
    return sizes


def test_cells_are_compared_once_for_as_long_as_the_file_stays_the_same(config: ModelConfig, hashed: list[int]) -> None:
    pack = written(config, size=100_000)
    assert not pack.is_ready
    assert pack.check()
    assert pack.is_ready
    hashed.clear()
    cells = pack.read()
    assert cells
    assert pack.read() == cells
    assert 100_000 not in hashed
    os.utime(pack.path, (1000, 1000))
    assert pack.read()
    assert 100_000 in hashed, "whoever touched it may have changed it"
    hashed.clear()
    assert pack.read()
    assert 100_000 not in hashed


def test_a_change_after_the_comparison_is_noticed(config: ModelConfig, caplog: Any) -> None:
    pack = written(config)
    assert pack.check()
    data = bytearray(pack.path.read_bytes())
    data[-500] ^= 1
    pack.path.write_bytes(data)
    os.utime(pack.path, (1000, 1000))  # some file systems keep time by the hundredth of a second
    assert pack.read() is None
    assert not pack.check()
    assert caplog.text.count("its cells have another SHA-256") == 2


def test_a_pack_that_another_has_replaced_or_that_is_gone_is_refused(config: ModelConfig, caplog: Any) -> None:
    pack = written(config)
    PackFolder(config, LAYOUT | {"num_seqs": 9}).write(TOKENS, SERVED, bytearray(10), 1.0)
    assert pack.read() is None
    pack.path.unlink()
    assert pack.read() is None
    assert "another pack was written in its place" in caplog.text
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(("key", "then", "now"), [("num_seqs", 4, 8), ("llama_cpp", "1", "2"), ("new", None, 1)])
def test_a_pack_of_another_layout_is_named_with_the_difference(
    config: ModelConfig, key: str, then: object, now: object
) -> None:
    written(config)
    layout = LAYOUT | {key: now}
    assert usable(config, layout) == []
    [fault] = faults(config, layout)
    assert f"stale, it was made with {key} {then}, and here it is {now}: run `warmfn pack m` again" in fault
    assert usable(config, layout=None) == [TOKENS], "whoever knows no layout cannot tell"


@pytest.mark.parametrize("position", [40, -1])
def test_a_pack_of_other_weights_is_named(config: ModelConfig, position: int) -> None:
    written(config)
    data = bytearray(config.weights.read_bytes())
    data[position] ^= 1
    config.weights.write_bytes(data)
    assert usable(config) == []
    assert "stale, it was made from other weights" in faults(config)[0]


def test_a_fingerprint_tells_sizes_headers_and_parts_apart(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "x-00001-of-00002.gguf")
    known = fingerprint(first)
    assert known.is_of(first)
    write_gguf(tmp_path / "x-00002-of-00002.gguf")
    assert not known.is_of(first)
    both = fingerprint(first)
    (tmp_path / "x-00002-of-00002.gguf").write_bytes(b"GGUF")
    assert not both.is_of(first)
    assert not fingerprint(write_gguf(tmp_path / "y.gguf", name="Another")).is_of(tmp_path / "x-00001-of-00002.gguf")
    assert not known.is_of(tmp_path / "nowhere.gguf")


def test_models_that_share_a_folder_keep_to_their_own_packs(config: ModelConfig) -> None:
    shared = {"prompt_cache_path": "shared"}
    configs = [config.model_copy(update={"name": name, **shared}) for name in ("m", "m-1", "a/b")]
    for number, other in enumerate(configs):
        written(other, [number])
    for number, other in enumerate(configs):
        assert usable(other) == [[number]]
        assert faults(other) == []


def test_packs_made_while_serving_give_way_the_least_valuable_first(config: ModelConfig) -> None:
    config = config.model_copy(update={"prompt_cache_mb": 1})
    declared = written(config, [1], "prefixes.0", 300_000)
    old, new = written(config, [2], size=300_000), written(config, [3], size=300_000)
    os.utime(declared.path, (1, 1))
    os.utime(old.path, (1000, 1000))
    PackFolder(config, LAYOUT).write([4], SERVED, bytearray(300_000), 1.5, keep=[declared.path])
    assert sorted(usable(config)) == [[1], [3], [4]]
    with pytest.raises(StoreError, match="prompt_cache_mb is 1: raise it"):
        PackFolder(config, LAYOUT).write([5], SERVED, bytearray(900_000), 1.5, keep=[declared.path])
    assert declared.path.exists()
    assert not new.path.exists()


def test_a_pack_that_is_written_again_does_not_count_twice(config: ModelConfig) -> None:
    config = config.model_copy(update={"prompt_cache_mb": 1})
    for _ in range(3):
        written(config, size=600_000)
    assert usable(config) == [TOKENS]


def test_a_folder_that_cannot_be_written_is_named(config: ModelConfig) -> None:
    folder = PackFolder(config, LAYOUT)
    folder.path.write_text("in the way")
    for attempt in (folder.require_writable, lambda: folder.write(TOKENS, SERVED, bytearray(1), 1.0)):
        with pytest.raises(StoreError, match=r"w\.gguf\.packs"):
            attempt()
    assert folder.packs() == ([], [])


def test_the_models_command_names_damaged_packs_and_those_of_other_weights(
    config: ModelConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written(config, [1]), written(config, [2])
    bad.path.write_bytes(b"nothing")
    assert main(["models", "--models", str(config.root)]) == 0
    out = capsys.readouterr().out
    assert f"{bad.path}: this pack is damaged" in out
    assert str(good.path) not in out


def test_what_cannot_be_packed_is_told_before_anything_is_loaded(
    config: ModelConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pack", "m", "--models", str(config.root)]) == 1
    assert "m.yaml: prefixes: there are none" in capsys.readouterr().err
    assert main(["pack", "nobody", "--models", str(config.root)]) == 1
    assert "there is no model 'nobody'" in capsys.readouterr().err
    (config.root / "m.yaml").write_text("name: m\nparameters: {model: w.gguf}\nprefixes: [Hello]\n")
    (config.root / "file").write_text("")
    assert main(["pack", "m", "--models", str(config.root), "--out", str(config.root / "file")]) == 1
    assert "Make it writable" in capsys.readouterr().err
