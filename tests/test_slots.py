from __future__ import annotations

import itertools
import random

import pytest

from core.engine.prefix import common_prefix, longest_shared
from core.engine.slots import MIN_RESTORE, Slots
from tests.fakes import FakeDecoder, Stored, sequence


def make(decoder: FakeDecoder, num_slots: int = 2, num_holders: int = 1, can_cut: bool = True) -> Slots:
    return Slots(
        decoder,
        num_slots=num_slots,
        num_holders=num_holders,
        num_cells=decoder.num_cells,
        can_cut=can_cut,
        window=decoder.window,
    )


def compute(slots: Slots, decoder: FakeDecoder, seq) -> None:  # type: ignore[no-untyped-def]
    """Let `seq` compute all its tokens, as a decoded batch would."""
    for position in range(seq.num_computed, len(seq.tokens)):
        decoder.cells.append((position, seq.tokens[position], {seq.slot_id}))
    slots.extend(seq, seq.num_computed, len(seq.tokens))
    seq.num_computed = len(seq.tokens)
    decoder.slide(seq.slot_id or 0, seq.num_computed)


def hold(slots: Slots, decoder: FakeDecoder, tokens, max_tokens: int = 1) -> None:  # type: ignore[no-untyped-def]
    """Let a sequence of these tokens come and go."""
    seq, _ = sequence(tokens, max_tokens)
    assert slots.claim(seq)
    compute(slots, decoder, seq)
    slots.release(seq)


def cached(slots: Slots, prompt) -> int:  # type: ignore[no-untyped-def]
    """What a sequence that comes now would reuse; it does not stay."""
    seq, _ = sequence(prompt, 1)
    assert slots.claim(seq)
    slots.release(seq)
    return seq.num_cached


def test_common_prefix_is_exact_at_every_length() -> None:
    for length in range(20):
        for differs in range(length):
            a = list(range(length))
            b = [*a[:differs], -1, *a[differs + 1 :]]
            assert common_prefix(a, b) == differs
        assert common_prefix(list(range(length)), list(range(length + 3))) == length


def test_a_released_prefix_is_reused_but_the_last_prompt_token_is_computed() -> None:
    decoder = FakeDecoder()
    slots = make(decoder)
    first, _ = sequence(range(10))
    assert slots.claim(first)
    compute(slots, decoder, first)
    slots.release(first)
    again, _ = sequence(range(10))
    assert slots.claim(again)
    assert again.num_cached == 9
    assert decoder.held(again.slot_id or 0) == list(range(9))


def test_a_running_prefix_is_shared_without_taking_cells() -> None:
    """24 cells for the first and, beyond the prefix, 6 for the second are all that there are."""
    decoder = FakeDecoder(num_cells=30)
    slots = make(decoder)
    first, _ = sequence(range(20), 4)
    assert slots.claim(first)
    compute(slots, decoder, first)
    second, _ = sequence([*range(18), 77, 78], 4)
    assert slots.claim(second)
    assert (second.num_cached, len(decoder.cells)) == (18, 20)
    compute(slots, decoder, second)
    assert decoder.held(second.slot_id or 0) == second.tokens
    assert decoder.held(first.slot_id or 0) == first.tokens


def test_a_shared_prefix_outlives_the_sequence_that_computed_it() -> None:
    decoder = FakeDecoder(num_cells=64)
    slots = make(decoder, num_slots=2, num_holders=0)
    first, _ = sequence(range(20))
    assert slots.claim(first)
    compute(slots, decoder, first)
    second, _ = sequence([*range(18), 77])
    assert slots.claim(second)
    slots.release(first)
    third, _ = sequence(range(500, 530))
    assert slots.claim(third)
    compute(slots, decoder, third)
    assert decoder.held(second.slot_id or 0) == list(range(18))


def test_a_claim_that_could_run_out_of_cells_is_refused() -> None:
    decoder = FakeDecoder(num_cells=20)
    slots = make(decoder)
    first, _ = sequence(range(8), max_tokens=4)
    second, _ = sequence(range(100, 106), max_tokens=4)
    assert slots.claim(first)
    assert not slots.claim(second)
    slots.release(first)
    assert slots.claim(second)


def test_idle_prefixes_are_forgotten_oldest_first_when_cells_are_needed() -> None:
    decoder = FakeDecoder(num_cells=32)
    slots = make(decoder, num_slots=3, num_holders=0)
    old, _ = sequence(range(10), max_tokens=1)
    new, _ = sequence(range(100, 110), max_tokens=1)
    for seq in (old, new):
        assert slots.claim(seq)
        compute(slots, decoder, seq)
    slots.release(old)
    slots.release(new)
    large, _ = sequence(range(200, 218), max_tokens=2)
    assert slots.claim(large)
    again, _ = sequence([*range(100, 110), 7], max_tokens=1)
    assert slots.claim(again)
    assert again.num_cached == 10


def test_a_long_idle_prefix_survives_a_claim_that_shares_little_of_it() -> None:
    decoder = FakeDecoder()
    slots = make(decoder, num_slots=2, num_holders=2)
    long, _ = sequence(range(100))
    assert slots.claim(long)
    compute(slots, decoder, long)
    slots.release(long)
    short, _ = sequence([*range(10), 900])
    assert slots.claim(short)
    assert short.num_cached == 10
    again, _ = sequence(range(100))
    assert slots.claim(again)
    assert again.num_cached == 99


def test_a_memory_that_cannot_be_cut_is_never_reused() -> None:
    decoder = FakeDecoder()
    slots = make(decoder, can_cut=False)
    first, _ = sequence(range(10))
    assert slots.claim(first)
    compute(slots, decoder, first)
    slots.release(first)
    again, _ = sequence(range(10))
    assert slots.claim(again)
    assert again.num_cached == 0


def test_the_list_that_shares_most_is_found_among_many() -> None:
    chance = random.Random(1)
    for _ in range(200):
        lists = [chance.choices(range(3), k=chance.randrange(8)) for _ in range(chance.randrange(1, 9))]
        brute = [
            max((common_prefix(a, b) for j, b in enumerate(lists) if i != j), default=0) for i, a in enumerate(lists)
        ]
        assert longest_shared(lists) == brute


def test_a_long_prefix_outlives_younger_short_ones() -> None:
    decoder = FakeDecoder(num_cells=4000)
    slots = make(decoder, num_slots=3, num_holders=0)
    document = range(1000)
    hold(slots, decoder, document)
    for start in range(2000, 2400, 20):
        hold(slots, decoder, range(start, start + 12))
    assert cached(slots, document) == 999


def test_a_long_prefix_that_nobody_asks_for_does_not_stay_for_ever() -> None:
    decoder = FakeDecoder(num_cells=4000)
    slots = make(decoder, num_slots=2, num_holders=0)
    hold(slots, decoder, range(100))
    for start in range(2000, 8000, 20):
        hold(slots, decoder, range(start, start + 12))
    assert cached(slots, range(100)) == 0


def test_of_what_is_held_twice_one_copy_goes_first() -> None:
    decoder = FakeDecoder(num_cells=4000, unified=False)
    slots = make(decoder, num_slots=3, num_holders=0)
    document = list(range(500))
    hold(slots, decoder, range(900, 1000))
    first, _ = sequence([*document, 801], 1)
    second, _ = sequence([*document, 802], 1)
    for seq in (first, second):
        assert slots.claim(seq)
        compute(slots, decoder, seq)
    for seq in (first, second):
        slots.release(seq)
    hold(slots, decoder, range(2000, 2010))
    assert cached(slots, range(900, 1000)) == 99
    assert cached(slots, document) == 499


def test_a_stored_prefix_comes_back_when_a_prompt_begins_with_it() -> None:
    decoder = FakeDecoder(num_cells=300)
    slots = make(decoder)
    slots.stored = (Stored(range(100)),)
    seq, _ = sequence([*range(100), 777], 2)
    assert slots.num_missing(seq.prompt) == 1
    assert slots.claim(seq)
    assert seq.num_cached == 100
    assert decoder.held(seq.slot_id or 0) == list(range(100))
    compute(slots, decoder, seq)
    assert decoder.held(seq.slot_id or 0) == seq.tokens


def test_a_prompt_that_is_the_stored_prefix_itself_computes_its_last_token() -> None:
    decoder = FakeDecoder(num_cells=300)
    slots = make(decoder)
    slots.stored = (Stored(range(100)),)
    assert cached(slots, range(100)) == 99


def test_a_stored_prefix_is_not_read_for_what_the_cache_holds_or_for_little() -> None:
    decoder = FakeDecoder(num_cells=900)
    slots = make(decoder)
    hold(slots, decoder, range(100 - MIN_RESTORE + 1))
    stored = Stored(range(100))
    slots.stored = (stored,)
    assert cached(slots, [*range(100), 777]) == 100 - MIN_RESTORE + 1
    assert cached(slots, [*range(40), 777]) == 37
    assert stored.num_reads == 0


def test_a_stored_prefix_that_cannot_be_read_is_tried_once_and_nothing_is_claimed_of_it() -> None:
    decoder = FakeDecoder(num_cells=300)
    slots = make(decoder)
    damaged = Stored(range(100), is_damaged=True)
    slots.stored = (damaged,)
    seq, _ = sequence([*range(100), 777], 2)
    assert slots.claim(seq)
    assert (seq.num_cached, damaged.num_reads, slots.stored) == (0, 1, ())
    compute(slots, decoder, seq)
    assert decoder.held(seq.slot_id or 0) == seq.tokens


def test_a_stored_prefix_that_is_not_ready_is_passed_over() -> None:
    slots = make(FakeDecoder(num_cells=300))
    stored = Stored(range(100))
    stored.is_ready = False
    slots.stored = (stored,)
    assert cached(slots, [*range(100), 777]) == 0
    assert (stored.num_reads, slots.stored) == (0, (stored,))


def test_a_stored_prefix_waits_where_running_sequences_need_the_cells() -> None:
    decoder = FakeDecoder(num_cells=150)
    slots = make(decoder)
    running, _ = sequence(range(500, 560), 10)
    assert slots.claim(running)
    slots.stored = (Stored(range(100)),)
    assert not slots.restore(slots.stored[0])
    assert slots._mirror.num_spare_cells == 150 - running.num_reserved, "nothing was taken"
    compute(slots, decoder, running)
    slots.release(running)
    assert slots.restore(slots.stored[0])


def test_at_the_start_stored_prefixes_take_free_places_and_displace_nothing_but_each_other() -> None:
    decoder = FakeDecoder(num_cells=1000)
    slots = make(decoder, num_slots=2, num_holders=1)
    hold(slots, decoder, [1, 2, 3])
    stored = [Stored(range(start, start + 100)) for start in range(0, 500, 100)]
    assert slots.restore_all(stored) == 3
    assert [prefix.num_reads for prefix in stored] == [1, 1, 1, 0, 0]
    assert cached(slots, [*range(400, 500), 7]) == 100
    assert [prefix.num_reads for prefix in stored] == [1, 1, 1, 0, 1]


def test_what_can_be_read_back_goes_before_what_would_have_to_be_computed() -> None:
    decoder = FakeDecoder(num_cells=1000)
    slots = make(decoder, num_slots=2, num_holders=0)
    hold(slots, decoder, range(500, 550))
    slots.restore_all([Stored(range(300))])
    hold(slots, decoder, range(800, 810))
    assert cached(slots, range(500, 550)) == 49
    assert cached(slots, [*range(300), 7]) == 300


def test_an_isolated_prefix_has_an_id_of_its_own() -> None:
    decoder = FakeDecoder(num_cells=300)
    slots = make(decoder)
    hold(slots, decoder, range(60))
    assert slots.isolate([*range(30), 7]) is None
    slot_id = slots.isolate(list(range(30)))
    assert slot_id is not None
    assert decoder.held(slot_id) == list(range(30))
    assert slots._mirror.num_spare_cells == 270


@pytest.mark.parametrize("unified", [True, False])
def test_behind_a_sliding_window_only_what_is_still_there_is_reused(unified: bool) -> None:
    decoder = FakeDecoder(num_cells=1000, unified=unified, window=10)
    slots = make(decoder)
    hold(slots, decoder, range(100))
    assert cached(slots, [*range(50), 777]) == 0, "the window before token 50 is gone"
    hold(slots, decoder, range(200, 300))
    assert cached(slots, [*range(200, 300), 777]) == 100, "going on at the end needs no more than the window"
    hold(slots, decoder, range(300, 308))
    assert cached(slots, [*range(300, 305), 777]) == 5, "nothing has slid out yet"


def test_a_stored_prefix_with_a_window_is_of_use_only_as_a_whole() -> None:
    decoder = FakeDecoder(num_cells=1000, window=10)
    slots = make(decoder)
    stored = Stored(range(100), first=91)
    slots.stored = (stored,)
    assert cached(slots, [*range(99), 777]) == 0
    assert cached(slots, range(100)) == 0, "its last token is to be computed, whose window lacks one"
    assert stored.num_reads == 0
    assert cached(slots, [*range(100), 777]) == 100


def test_the_mirror_and_the_cache_agree_whatever_comes() -> None:
    chance = random.Random(7)
    for unified, window in itertools.product((True, False), (None, 12)):
        decoder = FakeDecoder(num_cells=500 if unified else 10_000, unified=unified, window=window)
        slots = make(decoder, num_slots=3, num_holders=2)
        slots.stored = tuple(Stored(range(start, start + 90), first=78 if window else 0) for start in (0, 1000))
        running = []
        for _ in range(300):
            if running and chance.random() < 0.5:
                slots.release(running.pop(chance.randrange(len(running))))
            start = chance.choice((0, 1000, 2000))
            seq, _ = sequence([*range(start, start + chance.randrange(1, 120)), chance.randrange(5000, 5004)], 3)
            if slots.has_seat and slots.claim(seq):
                compute(slots, decoder, seq)
                running.append(seq)
            for seq in running:
                held = decoder.held(seq.slot_id or 0)
                assert held == seq.tokens[len(seq.tokens) - len(held) :]
                assert len(held) >= min(len(seq.tokens), (window or len(seq.tokens)) - 1)
            if unified and not window:
                promised = sum(seq.num_reserved - len(seq.tokens) for seq in running)
                assert slots._mirror.num_spare_cells == decoder.num_cells - len(decoder.cells) - promised
