"""Decoding against what Go's yaml.v3 really returned (recorded cases, which lie beside the repository)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from core.config.document import DocumentError, parse_document
from core.config.scalars import Bool, Float, Int, Words

CASES_FILE = Path(__file__).parents[2] / "shared/localai/yaml.jsonl"
CASES = [json.loads(line) for line in CASES_FILE.read_text("utf-8").splitlines()] if CASES_FILE.exists() else []

ACCEPTED_THOUGH_GO_REFUSES: dict[str, dict[str, Any]] = {
    "int_from_str": {"TopK": 40},
    "float_from_str": {"TopP": 0.9},
    "bool_quoted": {"F16": True},
    "list_from_scalar": {"StopWords": ["</s>"]},
}


class GoStruct(BaseModel):
    """The struct that the cases were decoded into, in our types."""

    Name: str = Field("", alias="name")
    TopK: Int = Field(0, alias="top_k")
    TopKPtr: Int | None = Field(None, alias="top_k_ptr")
    TopP: Float = Field(0, alias="top_p")
    F16: Bool = Field(False, alias="f16")
    F16Ptr: Bool | None = Field(None, alias="f16_ptr")
    Str: str = Field("", alias="str")
    StopWords: Words | None = Field(None, alias="stopwords")
    Roles: dict[str, str] | None = Field(None, alias="roles")
    ContextSize: Int | None = Field(None, alias="context_size")


def decode(text: str) -> dict[str, Any]:
    decoded = GoStruct.model_validate(parse_document(text).value or {}).model_dump()
    return decoded | {"StopWords": list(decoded["StopWords"]) if decoded["StopWords"] else None}


@pytest.mark.skipif(not CASES, reason=f"the recorded cases are not here: {CASES_FILE.name}")
def test_recorded_cases_decode_as_in_go() -> None:
    for case in CASES:
        if "error" not in case:
            decoded = decode(case["yaml"])
            assert decoded == {key: case["decoded"][key] for key in decoded}, case["id"]


@pytest.mark.skipif(not CASES, reason=f"the recorded cases are not here: {CASES_FILE.name}")
def test_what_go_refuses_is_refused_or_on_the_list() -> None:
    for case in CASES:
        if "error" not in case:
            continue
        if case["id"] in ACCEPTED_THOUGH_GO_REFUSES:
            assert decode(case["yaml"]).items() >= ACCEPTED_THOUGH_GO_REFUSES[case["id"]].items(), case["id"]
        else:
            with pytest.raises((DocumentError, ValueError)):
                decode(case["yaml"])
