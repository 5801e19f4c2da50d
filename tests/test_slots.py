from __future__ import annotations

from core.engine.prefix import common_prefix
from core.engine.slots import Slots
from tests.fakes import FakeDecoder, sequence


def make(decoder: FakeDecoder, num_slots: int = 2, num_holders: int = 1, can_cut: bool = True) -> Slots:
    return Slots(decoder, num_slots=num_slots, num_holders=num_holders, num_cells=decoder.num_cells, can_cut=can_cut)


def compute(slots: Slots, decoder: FakeDecoder, seq) -> None:  # type: ignore[no-untyped-def]
    """Let `seq` compute all its tokens, as a decoded batch would."""
    for position in range(seq.num_computed, len(seq.tokens)):
        decoder.cells.append((position, seq.tokens[position], {seq.slot_id}))
    slots.extend(seq, seq.num_computed, len(seq.tokens))
    seq.num_computed = len(seq.tokens)


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
    decoder = FakeDecoder(num_cells=40)
    slots = make(decoder)
    first, _ = sequence(range(20))
    assert slots.claim(first)
    compute(slots, decoder, first)
    free = slots.num_free_cells
    second, _ = sequence([*range(18), 77, 78])
    assert slots.claim(second)
    assert (second.num_cached, slots.num_free_cells) == (18, free)
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
