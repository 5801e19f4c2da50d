"""all-MiniLM-L6-v2 as a GGUF, with the pooling that a test wants in its header."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from core.store.bert_gguf import read_bert, write_bert


def convert_minilm(folder: Path, target: Path, *, pooling: gguf.PoolingType | None = gguf.PoolingType.MEAN) -> Path:
    class Writer(gguf.GGUFWriter):
        def add_pooling_type(self, value: gguf.PoolingType) -> None:
            if pooling is not None:
                super().add_pooling_type(pooling)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gguf, "GGUFWriter", Writer)
        write_bert(read_bert(folder), target)
    return target
