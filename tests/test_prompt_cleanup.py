"""LocalAI's clean-up, of whole texts and of streams."""

from __future__ import annotations

import random
from typing import Any

import pytest

from core.errors import ModelUnusable
from core.prompt.cleanup import Cleanup

THINK = "(?s)<think>.*?</think>"


def streamed(cleanup: Cleanup, pieces: list[str], echo: str = "") -> list[str]:
    """What each piece gives, and last what the end gives."""
    stream = cleanup.stream(echo=echo)
    return [*(stream.feed(piece) for piece in pieces), stream.flush()]


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        ({}, " as it is\n", " as it is\n"),
        ({"cutstrings": [THINK]}, "a<think>1\n2</think>b<think>3</think>c", "abc"),
        ({"cutstrings": ["b+", "ac"]}, "abbc!", "!"),
        ({"extract_regex": ["<a>.*?</a>", "<b>"]}, "x<b>y<a>1</a><a>2</a>", "<a>1</a><b>"),
        ({"extract_regex": ["<a>", "x*"]}, "none here", "none here"),
        ({"trimspace": ["Answer:"]}, "Answer:Answer: 4 \n", "Answer: 4"),
        ({"trimspace": ["Answer:"]}, " Answer: 4 ", "Answer: 4"),
        ({"trimsuffix": ["\n"]}, "\n4\n\n", "4"),
        ({"trimsuffix": [" END"]}, "4 \n END", "4"),
        ({"trimsuffix": ["END"]}, "4 END\n", "4 END"),
        ({"trimspace": ["A:", "B:"]}, "A: B: x", "x"),
        ({"reply_prefix": "<think>", "cutstrings": [THINK]}, "hm</think>yes", "yes"),
        ({"trimspace": [""]}, "\u00a0\u2003\x1f x \x1c\u3000", "\x1f x \x1c"),
    ],
)
def test_rules_work_as_in_localai_and_in_its_order(rules: dict[str, Any], text: str, expected: str) -> None:
    cleanup = Cleanup(**rules)
    assert cleanup.apply(text) == expected
    assert "".join(streamed(cleanup, list(text))) == expected
    assert cleanup.is_neutral == (not rules)


def test_the_echoed_prompt_and_the_prefix_go_through_the_rules_too() -> None:
    cleanup = Cleanup(cutstrings=["Q: "], trimsuffix=["\n"], reply_prefix="A: ")
    assert cleanup.apply("4\n", echo="Q: 2+2?\n") == "2+2?\nA: 4"
    assert "".join(streamed(cleanup, ["4", "\n"], echo="Q: 2+2?\n")) == "2+2?\nA: 4"
    assert streamed(Cleanup(reply_prefix="A: "), []) == ["A: "]


def test_a_wrong_expression_is_told_with_its_key() -> None:
    with pytest.raises(ModelUnusable, match=r"extract_regex: '\(' is not a regular expression"):
        Cleanup(extract_regex=["("])


@pytest.mark.parametrize(
    ("rules", "pieces", "given"),
    [
        ({"trimsuffix": ["\n"]}, [" ", "a", " ", "b\n", "\n"], ["", "a", "", " b", "", ""]),
        ({"trimspace": ["Answer:"]}, ["Ans", "wer", ": ", "4", "2"], ["", "", "", "4", "2", ""]),
        ({"trimspace": ["Answer:"]}, ["An", "d 4"], ["", "And 4", ""]),
        ({"cutstrings": ["<x>"]}, ["ab", "c<", "x", ">d", "ef"], ["ab", "c", "", "d", "ef", ""]),
        ({"cutstrings": ["[0-9]px"]}, ["1", "2p", "3px", "4"], ["", "1", "2p", "", "4"]),
        ({"cutstrings": [THINK]}, ["a<", "b<th", "ink>c</think", ">d", "e"], ["a", "<b", "", "d", "e", ""]),
        ({"cutstrings": ["Note:.*"]}, ["a", "b N", "ote: c", "\nd"], ["a", "b ", "", "", "\nd"]),
        ({"cutstrings": ["^a"]}, ["a", "b"], ["", "", "b"]),
        ({"extract_regex": ["<a>"]}, ["x<a>", "y"], ["", "", "<a>"]),
    ],
)
def test_a_stream_holds_back_only_what_a_rule_might_still_remove(
    rules: dict[str, Any], pieces: list[str], given: list[str]
) -> None:
    assert streamed(Cleanup(**rules), pieces) == given


def test_a_stream_gives_what_the_whole_text_gives_however_it_is_cut() -> None:
    """Nothing given early is ever taken back: the same beginnings are tried with many ends."""
    chance = random.Random(0)
    for _ in range(1500):
        rules = random_rules(chance)
        cleanup = Cleanup(**rules)
        for _ in range(5):
            text, echo = random_text(chance, 14), chance.choice(["", "", " <a>"])
            pieces = random_pieces(chance, text)
            assert "".join(streamed(cleanup, pieces, echo)) == cleanup.apply(text, echo=echo), (rules, pieces, echo)


def random_text(chance: random.Random, most: int) -> str:
    return "".join(chance.choices("aab<>/ \n.A\x1f\u00a0", k=chance.randint(0, most)))


def random_pieces(chance: random.Random, text: str) -> list[str]:
    pieces = []
    while text:
        size = chance.randint(1, 4)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def random_rules(chance: random.Random) -> dict[str, Any]:
    def some(make: Any) -> list[str]:
        return [make(chance) for _ in range(chance.choice([0, 0, 1, 1, 2]))]

    return {
        "cutstrings": some(random_expression),
        "extract_regex": some(random_expression) if chance.random() < 0.2 else [],
        "trimspace": some(lambda chance: random_text(chance, 3)),
        "trimsuffix": some(lambda chance: random_text(chance, 3)),
        "reply_prefix": chance.choice(["", "", "a "]),
    }


def random_expression(chance: random.Random) -> str:
    atoms = ["a", "b", "<", r"\.", "[ab]", "[^a]", ".", r"\s", "<a>"]
    repeats = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{1,}?", "{0,2}?"]
    items = [chance.choice(["<a>", "a", ""])]
    items += [chance.choice(atoms) + chance.choice(repeats) for _ in range(chance.randint(0, 3))]
    body = "".join(items)
    return chance.choice(["{}", "(?s){}", "(?s){}", "(?i){}", "({}|b)", "{}|ba", "^{}", "{}$", r"{}\b"]).replace(
        "{}", body
    )
