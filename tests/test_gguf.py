from __future__ import annotations

import io
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from core.errors import ModelUnusable
from core.gguf import iter_tokens, parse_header, read_header, token_texts
from core.gguf.kv_cache import kv_bytes_per_token
from tests.minilm_gguf import convert_minilm

SHARED = Path(__file__).parents[2] / "shared/models"


def write(path: Path, architecture: str = "llama", **numbers: int) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    for key, number in numbers.items():
        writer.add_uint32(key.replace("__", "."), number)
    return writer


def finish(writer: gguf.GGUFWriter, *, tensors: int = 2) -> None:
    for number in range(tensors):
        writer.add_tensor(f"blk.{number}.weight", np.ones((4, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    writer = write(
        path,
        llama__block_count=3,
        llama__context_length=2048,
        llama__embedding_length=64,
        llama__attention__head_count=8,
        llama__attention__head_count_kv=2,
    )
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_token_list([b"<s>", b"</s>", "\u2581hello", b"\xff"])
    writer.add_token_scores([0.0] * 4)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages }}")
    finish(writer)
    return path


def test_a_header_gives_the_facts_of_its_model(tiny: Path) -> None:
    header = read_header(tiny)
    assert (header.architecture, header.kind, header.quant) == ("llama", "model", "Q4_K_M")
    assert (header.num_layers, header.context_length, header.embedding_length) == (3, 2048, 64)
    assert (header.num_heads, header.kv_heads, header.key_length, header.value_length) == (8, (2, 2, 2), 8, 8)
    assert kv_bytes_per_token(header) == 3 * 2 * (8 + 8) * 2
    assert header.weight_bytes == 2 * 4 * 32 * 2
    assert header.chat_template == "{{ messages }}"
    assert (header.bos_id, header.eos_id, header.adds_bos) == (0, 1, True)
    assert not header.is_embedding


def test_tensors_are_those_of_the_gguf_package(tiny: Path) -> None:
    header, expected = read_header(tiny), gguf.GGUFReader(tiny)
    assert header.data_offset == expected.data_offset
    assert [(t.name, t.type, t.num_bytes, t.shape) for t in header.tensors] == [
        (t.name, t.tensor_type.name, t.n_bytes, tuple(t.shape)) for t in expected.tensors
    ]


def test_arrays_are_passed_over_and_tokens_can_be_read_one_by_one(tiny: Path) -> None:
    header = read_header(tiny)
    assert "tokenizer.ggml.tokens" not in header.metadata
    tokens = header.arrays["tokenizer.ggml.tokens"]
    assert (tokens.type, tokens.length, tokens.values) == ("string", 4, None)
    assert list(iter_tokens(tiny, header)) == [b"<s>", b"</s>", "\u2581hello".encode(), b"\xff"]
    assert token_texts(tiny, header, {1, 3}) == {1: "</s>", 3: "\ufffd"}


def test_layers_that_differ_are_summed(tmp_path: Path) -> None:
    path = tmp_path / "uneven.gguf"
    writer = write(path, llama__block_count=3, llama__embedding_length=64, llama__attention__head_count=8)
    writer.add_head_count_kv([8, 4, 1])
    finish(writer)
    header = read_header(path)
    assert header.kv_heads == (8, 4, 1)
    assert kv_bytes_per_token(header) == 13 * (8 + 8) * 2


def test_key_and_value_lengths_win_over_the_width_of_a_head(tmp_path: Path) -> None:
    path = tmp_path / "wide.gguf"
    writer = write(
        path,
        llama__block_count=1,
        llama__embedding_length=64,
        llama__attention__head_count=8,
        llama__attention__key_length=128,
        llama__attention__value_length=32,
    )
    finish(writer)
    assert kv_bytes_per_token(read_header(path)) == 8 * (128 + 32) * 2


def test_without_a_file_type_the_quant_is_that_of_most_bytes(tmp_path: Path) -> None:
    path = tmp_path / "unnamed.gguf"
    writer = write(path)
    writer.add_tensor("norm.weight", np.ones(32, np.float32))
    finish(writer)
    assert read_header(path).quant == "F16"


def test_a_model_of_pooled_vectors_is_an_embedding_model(tmp_path: Path) -> None:
    path = tmp_path / "pooled.gguf"
    writer = write(path, "qwen2")
    writer.add_pooling_type(gguf.PoolingType.LAST)
    finish(writer)
    assert read_header(path).pooling == "last"
    assert read_header(path).is_embedding


def test_the_picture_half_of_a_model_is_told_from_a_model(tmp_path: Path) -> None:
    finish(write(tmp_path / "projector.gguf", "clip"))
    assert read_header(tmp_path / "projector.gguf").kind == "mmproj"


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.6, 0.99])
def test_a_file_that_is_cut_short_is_said_to_be(tiny: Path, part: float) -> None:
    data = tiny.read_bytes()
    tiny.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ModelUnusable, match=r"tiny\.gguf is (cut short|not a GGUF)"):
        read_header(tiny)


def test_every_cut_within_the_header_is_a_plain_error(tiny: Path) -> None:
    data = tiny.read_bytes()[: read_header(tiny).data_offset - 32]
    for end in range(len(data)):
        with pytest.raises(ModelUnusable):
            parse_header(io.BytesIO(data[:end]), name="x")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "not a GGUF file: it starts with b''"),
        (b"PK\3\4", "not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1", "git-lfs pointer.*git lfs pull"),
        (b"GGUF" + struct.pack("<I", 1), "version 1, which is too old"),
        (b"GGUF" + struct.pack("<I", 9), "version 9, which is too new"),
        (b"GGUF" + struct.pack(">I", 3), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0), "damaged.*tensors are announced"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "damaged.*values are announced"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "damaged.*a text of"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "k has the unknown type 99"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**60), "damaged.*header would have"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 0, 2**60), "damaged.*header would have"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "array of the unknown type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"t", 9), "t has 9 dimensions"),
        (b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"t", 1, 32, 4, 0), "type 4, which llama.cpp does not read"),
        (b"GGUF" + struct.pack("<IQQQ1sIQIQ", 3, 1, 0, 1, b"t", 1, 33, 2, 0), "33 values, which is no multiple of 32"),
    ],
)
def test_what_cannot_be_read_is_named_in_plain_words(start: bytes, message: str) -> None:
    with pytest.raises(ModelUnusable, match=f"x.gguf.*{message}"):
        parse_header(io.BytesIO(start), name="x.gguf")


def test_a_missing_file_is_reported_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"absent\.gguf: cannot be read: No such file"):
        read_header(tmp_path / "absent.gguf")


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2-q8_0.gguf", "rerank-mini-q8_0.gguf", "ggml-vocab-llama-spm.gguf"])
def test_published_files_are_read_as_the_gguf_package_reads_them(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip("../shared/models is not there")
    header, expected = read_header(path), gguf.GGUFReader(path)
    assert [(t.name, t.num_bytes) for t in header.tensors] == [(t.name, t.n_bytes) for t in expected.tensors]
    for key, value in header.metadata.items():
        assert value == expected.fields[key].contents()


@pytest.mark.weights
def test_the_header_agrees_with_llama_cpp(models_folder: Path) -> None:
    from core.llama.model import LlamaModel

    path = models_folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    header, model = read_header(path), LlamaModel(path)
    try:
        assert kv_bytes_per_token(header, "Q8_0", "F16") == model.kv_bytes_per_token("q8_0", "f16")
        assert header.context_length == model.context_train
        assert header.chat_template == model.chat_template
        assert (header.bos_id, header.adds_bos) == (model.bos, model.adds_bos)
        assert token_texts(path, header, {header.eos_id}) == {header.eos_id: model.eos_token}
    finally:
        model.close()


@pytest.mark.weights
def test_an_encoder_has_no_cache(models_folder: Path, tmp_path: Path) -> None:
    header = read_header(convert_minilm(models_folder / "all-MiniLM-L6-v2", tmp_path / "minilm.gguf"))
    assert (header.is_embedding, kv_bytes_per_token(header), header.quant) == (True, 0, "F16")
