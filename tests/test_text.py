from __future__ import annotations

import itertools

import pytest

from core.engine.text import TextStream
from core.prompt.cleanup import Cleanup


def run(stops: list[str], pieces: list[bytes]) -> tuple[list[str], bool]:
    stream = TextStream(stops)
    deltas = []
    for piece in pieces:
        deltas.append(stream.feed(piece))
        if stream.stopped:
            return deltas, True
    return [*deltas, stream.flush()], False


def cuts(text: bytes) -> list[list[bytes]]:
    """Every way to cut a short text into pieces."""
    places = range(1, len(text))
    chosen = itertools.chain.from_iterable(itertools.combinations(places, n) for n in range(len(text)))
    return [[text[a:b] for a, b in itertools.pairwise((0, *cut, len(text)))] for cut in chosen]


def test_a_character_split_over_tokens_is_never_split_in_the_text() -> None:
    for pieces in cuts("né€😀".encode()):
        deltas, _ = run([], pieces)
        assert "".join(deltas) == "né€😀"
        assert not any("\ufffd" in delta for delta in deltas)


def test_bytes_of_an_unfinished_character_are_dropped_at_the_end() -> None:
    deltas, _ = run([], [b"a", "€".encode()[:2]])
    assert "".join(deltas) == "a"


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        (["ern", "orth"], "Northern", "N"),
        (["orth", "ern"], "Northern", "N"),
        (["rn", "ern"], "Northern", "North"),
        (["abcd", "c"], "abcdef", "ab"),
        (["\n\n"], "a\nb\n\nc", "a\nb"),
    ],
)
def test_the_first_complete_stop_string_wins_however_the_text_is_cut(
    stops: list[str], text: str, expected: str
) -> None:
    for pieces in cuts(text.encode()):
        deltas, stopped = run(stops, pieces)
        assert stopped
        assert "".join(deltas) == expected


def test_a_partial_match_is_held_back_and_given_when_it_comes_to_nothing() -> None:
    stream = TextStream(["<end>"])
    assert stream.feed(b"a<en") == "a"
    assert stream.feed(b"t") == "<ent"
    assert stream.feed(b"<e") == ""
    assert stream.flush() == "<e"


def test_no_part_of_a_stop_string_is_ever_sent() -> None:
    for pieces in cuts(b"ab<|x|>c"):
        deltas, _ = run(["<|x|>"], pieces)
        assert "".join(deltas) == "ab"


def test_stop_strings_are_judged_before_the_text_is_cleaned_up() -> None:
    cleanup = Cleanup(cutstrings=["x"], trimsuffix=["\n"])
    for pieces in cuts(b"axb\n##c"):
        stream = TextStream(["##"], cleanup.stream())
        assert "".join(stream.feed(piece) for piece in pieces if not stream.stopped) == "ab"
    stream = TextStream(["ab"], cleanup.stream())
    assert stream.feed(b"axb") + stream.flush() == "ab"
    assert not stream.stopped


def test_what_the_clean_up_holds_comes_when_the_text_ends() -> None:
    cleanup = Cleanup(extract_regex=["[0-9]+"], reply_prefix="=")
    stream = TextStream(["##"], cleanup.stream())
    assert stream.feed(b"a 42") + stream.feed(b" b#") == ""
    assert stream.feed(b"#") == "42"
    assert stream.stopped
    stream = TextStream([], cleanup.stream())
    assert stream.feed(b"a") + stream.flush() == "=a"
