"""The same text, or a failure at the same stage and in the same line, as Go's own engine gives with sprig.

The lines of `../shared/localai` hold templates of LocalAI and its galleries with what Go printed for them.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.prompt.gotemplate import GoTemplate, TemplateError, TemplateRuntimeError, TemplateSyntaxError, sprig_data

SHARED = Path(__file__).parents[2] / "shared/localai"
STAGES = {TemplateSyntaxError: "parse", TemplateRuntimeError: "exec"}


def lines(name: str) -> list[dict[str, Any]]:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"../shared/localai/{name} is not there")
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    """What we print, or stage and line of our failure."""
    try:
        return {"printed": GoTemplate(case["template"]).render(case["data"])}
    except TemplateError as error:
        return {"stage": STAGES[type(error)], "line": error.line}


def expected(case: dict[str, Any]) -> dict[str, Any]:
    if "expected" in case:
        return {"printed": case["expected"]}
    place = re.match(r"template: prompt:(\d+):", case["error"])
    assert place
    return {"stage": case["error_stage"], "line": int(place[1])}


@pytest.mark.parametrize("name", ["templates.jsonl", "synthetic.jsonl"])
def test_everything_is_as_in_go(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprig_data, "now", lambda: datetime(2024, 2, 9, 12, 34, 56, tzinfo=UTC))
    cases = lines(name)
    assert cases
    assert [case["id"] for case in cases if outcome(case) != expected(case)] == []
