"""GGUF bytes -> GgufHeader."""

from __future__ import annotations

import math
import struct
from collections.abc import Container, Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import ModelUnusable
from core.gguf.cursor import BUFFER_BYTES, Cursor
from core.gguf.header import ArrayInfo, GgufHeader, Scalar, TensorInfo
from core.gguf.quants import TENSOR_TYPES

GGUF_MAGIC = b"GGUF"
GIT_LFS_MAGIC = b"version https://git-lfs"
TOKENS_KEY = "tokenizer.ggml.tokens"

MAX_ENTRIES = 1 << 16
MAX_KEPT_NUMBERS = 1 << 10
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32

_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: ("u8", "<B"),
    1: ("i8", "<b"),
    2: ("u16", "<H"),
    3: ("i16", "<h"),
    4: ("u32", "<I"),
    5: ("i32", "<i"),
    6: ("f32", "<f"),
    7: ("bool", "<?"),
    10: ("u64", "<Q"),
    11: ("i64", "<q"),
    12: ("f64", "<d"),
}


def read_header(path: Path) -> GgufHeader:
    """The header of the file at `path`; raises ModelUnusable also where the file is shorter than its header says."""
    try:
        with path.open("rb", buffering=BUFFER_BYTES) as file:
            header = parse_header(file, name=path.name)
            size = file.seek(0, 2)
    except OSError as error:
        raise ModelUnusable(f"{path}: cannot be read: {error.strerror}") from error
    if header.tensors and size < header.end_of_data:
        raise ModelUnusable(
            f"{path.name} is cut short: it has {size} bytes and its header speaks of {header.end_of_data}. "
            "Download it again."
        )
    return header


def parse_header(stream: BinaryIO, *, name: str) -> GgufHeader:
    """The header at the start of `stream`, which is read no further; `name` is for error messages.

    Raises ModelUnusable for what is no GGUF file, is cut short or damaged, or has a version or type we cannot read.
    """
    _require_magic(stream, name)
    cursor = Cursor(stream, name)
    cursor.position = len(GGUF_MAGIC)
    version = _version(cursor)
    num_tensors, num_values = _count(cursor, "tensors"), _count(cursor, "values")
    metadata: dict[str, Scalar] = {}
    arrays: dict[str, ArrayInfo] = {}
    for _ in range(num_values):
        key, kind = cursor.word(), cursor.uint32()
        if kind == _ARRAY:
            arrays[key] = _array(cursor, key)
        else:
            metadata[key] = _scalar(cursor, key, kind)
    tensors = tuple(_tensor(cursor) for _ in range(num_tensors))
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise cursor.damaged(f"general.alignment is {alignment!r}, which is no power of two")
    return GgufHeader(version, metadata, arrays, tensors, -(-cursor.position // alignment) * alignment)


def iter_tokens(path: Path, header: GgufHeader) -> Iterator[bytes]:
    """The vocabulary of the file that `header` was read from, in the order of token ids, one piece at a time."""
    tokens = header.arrays.get(TOKENS_KEY)
    if tokens is None or tokens.type != "string":
        return
    with path.open("rb", buffering=BUFFER_BYTES) as file:
        file.seek(tokens.offset)
        cursor = Cursor(file, path.name)
        for _ in range(tokens.length):
            yield cursor.text()


def token_texts(path: Path, header: GgufHeader, ids: Container[int]) -> dict[int, str]:
    """How the tokens `ids` are written in the vocabulary."""
    pieces = enumerate(iter_tokens(path, header))
    return {token: piece.decode("utf-8", "replace") for token, piece in pieces if token in ids}


def _require_magic(stream: BinaryIO, name: str) -> None:
    magic = stream.read(len(GGUF_MAGIC))
    if magic == GGUF_MAGIC:
        return
    if magic + stream.read(len(GIT_LFS_MAGIC) - len(magic)) == GIT_LFS_MAGIC:
        raise ModelUnusable(f"{name} is a git-lfs pointer, not the weights: run `git lfs pull` in its repository.")
    raise ModelUnusable(f"{name} is not a GGUF file: it starts with {magic!r}.")


def _version(cursor: Cursor) -> int:
    version = cursor.uint32()
    if version and not version & 0xFFFF:
        raise ModelUnusable(f"{cursor.name} is a big-endian GGUF: get the little-endian file of this model.")
    if version not in (2, 3):
        age = "old" if version < 2 else "new"
        raise ModelUnusable(
            f"{cursor.name} has GGUF version {version}, which is too {age}: versions 2 and 3 can be read. "
            "Get this model in one of them."
        )
    return version


def _count(cursor: Cursor, what: str) -> int:
    count = cursor.uint64()
    if count > MAX_ENTRIES:
        raise cursor.damaged(f"{count} {what} are announced")
    return count


def _scalar(cursor: Cursor, key: str, kind: int) -> Scalar:
    if kind == _STRING:
        return cursor.word()
    if kind not in _NUMBERS:
        raise cursor.damaged(f"{key} has the unknown type {kind}")
    value: Scalar = cursor.number(_NUMBERS[kind][1])
    return value


def _array(cursor: Cursor, key: str) -> ArrayInfo:
    kind, length = cursor.uint32(), cursor.uint64()
    offset = cursor.position
    if kind == _STRING:
        cursor.require(length * 8)
        for _ in range(length):
            cursor.skip(cursor.uint64())
        return ArrayInfo("string", length, offset)
    if kind not in _NUMBERS:
        raise cursor.damaged(f"{key} is an array of the unknown type {kind}")
    name, layout = _NUMBERS[kind]
    if length > MAX_KEPT_NUMBERS:
        cursor.skip(length * struct.calcsize(layout))
        return ArrayInfo(name, length, offset)
    return ArrayInfo(name, length, offset, tuple(cursor.number(layout) for _ in range(length)))


def _tensor(cursor: Cursor) -> TensorInfo:
    name, dimensions = cursor.word(), cursor.uint32()
    if dimensions > MAX_DIMENSIONS:
        raise cursor.damaged(f"tensor {name} has {dimensions} dimensions")
    shape = tuple(cursor.uint64() for _ in range(dimensions))
    kind, offset = cursor.uint32(), cursor.uint64()
    if kind not in TENSOR_TYPES:
        raise ModelUnusable(
            f"{cursor.name}: tensor {name} has type {kind}, which llama.cpp does not read (any more): "
            "get this model in another quantization, such as Q4_K_M."
        )
    type_name, block, block_bytes = TENSOR_TYPES[kind]
    num_values = math.prod(shape)
    if num_values % block:
        raise cursor.damaged(f"tensor {name} has {num_values} values, which is no multiple of {block}")
    return TensorInfo(name, shape, type_name, offset, num_values // block * block_bytes)
