from __future__ import annotations

import random

import pytest

from core.engine.lookup import NGRAM, UNKNOWN, PromptLookup


def read(prompt: list[int], generated: list[int]) -> PromptLookup:
    tokens = list(prompt)
    lookup = PromptLookup(tokens)
    for token in generated:
        tokens.append(token)
        lookup.observe()
    return lookup


@pytest.mark.parametrize(
    ("prompt", "generated", "draft"),
    [
        ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3], [4, 5, 6]),
        ([1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7], [1, 2, 3], [5, 6, 7]),  # the newest place
        ([1, 2, 3, 4, 5, 9], [8, 8, 1, 2, 3], [4, 5, 9]),
        ([1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 7], [9, 1, 2, 3], [5, 6, 7]),
        ([7, 1, 2, 3], [7, 7, 7, 7], [7, 7, 7]),  # the text runs in circles
        ([0], [1, 2, 3, 1, 2, 3], [1, 2, 3]),
        ([1, 2, 3, 4, 5], [6, 2, 3], []),  # two tokens agree
        ([1, 2], [3], []),
    ],
)
def test_a_text_is_expected_to_go_on_as_it_did_after_the_same_tokens(
    prompt: list[int], generated: list[int], draft: list[int]
) -> None:
    lookup = read(prompt, generated)
    assert lookup.draft(3) == draft
    assert lookup.has_match == bool(draft)


def test_a_match_that_proves_right_is_followed_past_newer_places_of_its_last_tokens() -> None:
    first, newer = [1, 2, 3, 4, 5, 6, 7], [9, 4, 5, 6, 8]
    assert read([*first, *newer], [1, 2, 3, 4, 5, 6]).draft(1) == [7]
    assert read([*first, *newer], [4, 5, 6]).draft(1) == [8]


def test_every_match_is_a_place_where_the_same_tokens_stand() -> None:
    """And where nothing is followed, it is the newest one, as a search through the whole text would find it."""
    chance = random.Random(5)
    tokens = [chance.randrange(3) for _ in range(10)]
    lookup = PromptLookup(tokens)
    num_matches = 0
    for _ in range(500):
        foretold = lookup.draft(1)
        tokens.append(chance.randrange(3))
        lookup.observe()
        places = [end for end in range(NGRAM, len(tokens)) if tokens[end - NGRAM : end] == tokens[-NGRAM:]]
        assert lookup.has_match == bool(places)
        if places:
            num_matches += 1
            expected = {tokens[places[-1]]} if foretold != tokens[-1:] else {tokens[place] for place in places}
            assert lookup.draft(1)[0] in expected
    assert num_matches > 300


def test_acceptance_is_measured_without_any_draft_and_follows_the_text() -> None:
    song = list(range(100, 140))
    copying = read(song, song[:30])
    assert copying.acceptance > 0.9
    refrain = [1, 2, 3]
    straying = read(song, [token for verse in range(10) for token in (*refrain, 200 + verse)])
    assert straying.acceptance < 0.2
    assert read(song, [1, 2, 3, 4, 5]).acceptance == UNKNOWN
