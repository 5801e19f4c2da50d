"""From a prompt's text to tokens: what llama.cpp's tokenizers cannot be given never reaches them."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.prompt.tokens import MAX_RUN, prompt_tokens
from tests.serving import FakeModel

KINDS = {
    "letters": "a",
    "spaces": " ",
    "lines": "\n",
    "digits": "1",
    "signs": "!",
    "code": "a.b(c);",
    "Chinese": "漢",
    "Hindi": "क\u093f",
    "fullwidth signs among letters": "a\uff0c",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["", "a word. ", "and " * MAX_RUN])
def test_a_run_that_would_end_the_process_is_refused(kind: str, before: str) -> None:
    run = KINDS[kind] * (MAX_RUN // len(KINDS[kind]) + 2)
    with pytest.raises(InvalidRequest, match="in a row"):
        prompt_tokens(before + run + " and so on", FakeModel())


@pytest.mark.parametrize("kind", KINDS)
def test_shorter_runs_are_read_however_many_there_are(kind: str) -> None:
    run = KINDS[kind] * (MAX_RUN // len(KINDS[kind]))
    text = ("x" if run.isspace() else "\n").join([run] * 4)
    assert prompt_tokens(text, FakeModel())


def test_a_long_text_without_spaces_is_read_if_it_has_punctuation() -> None:
    text = "漢字仮名交じり文、" * MAX_RUN
    assert prompt_tokens(text, FakeModel())
