from __future__ import annotations

import pytest

from core.engine.scheduler import Scheduler
from core.engine.sequence import Sequence
from tests.fakes import FakeDecoder, Listener, completion, make_scheduler, sequence, text_of


def step(scheduler: Scheduler, decoder: FakeDecoder) -> None:
    batch = scheduler.schedule()
    assert batch is not None
    decoder.opened.update(chunk.seq for chunk in batch.chunks)
    for seq, update in scheduler.commit(batch, decoder.decode(batch), decoder.pieces):
        seq.deliver(update)


def run(scheduler: Scheduler, decoder: FakeDecoder) -> None:
    while scheduler.has_work:
        step(scheduler, decoder)


def rows(decoder: FakeDecoder) -> list[list[int]]:
    return [[chunk.num_tokens for chunk in batch.chunks] for batch in decoder.batches]


@pytest.mark.parametrize(("unified", "min_copy"), [(True, 1), (False, 4)])
def test_sequences_run_together_give_what_each_gives_alone(unified: bool, min_copy: int) -> None:
    decoder = FakeDecoder(num_cells=400, unified=unified)
    scheduler = make_scheduler(decoder, min_copy=min_copy)
    jobs = [(list(range(n, n + 5 + 3 * n)), 3 + n) for n in range(7)]
    callers: list[Listener] = []
    for prompt, count in jobs:
        seq, listener = sequence(prompt, count)
        scheduler.add(seq)
        callers.append(listener)
    run(scheduler, decoder)
    for (prompt, count), listener in zip(jobs, callers, strict=True):
        assert listener.text == text_of(completion(prompt, count))
        assert listener.last.finish_reason == "length"


def test_running_streams_come_first_and_prompts_get_bounded_chunks_beside_them() -> None:
    decoder = FakeDecoder(max_batch=16)
    scheduler = make_scheduler(decoder, prefill_rate=8)
    stream, _ = sequence(range(3), 8)
    scheduler.add(stream)
    step(scheduler, decoder)
    long, _ = sequence(range(100, 120), 2)
    scheduler.add(long)
    run(scheduler, decoder)
    assert rows(decoder)[:6] == [[3], [1, 4], [1, 4], [1, 4], [1, 4], [1, 4]]


def test_prompts_alone_fill_the_batch_in_order_of_arrival() -> None:
    decoder = FakeDecoder(max_batch=16)
    scheduler = make_scheduler(decoder)
    for start in (0, 100):
        scheduler.add(sequence(range(start, start + 12), 1)[0])
    step(scheduler, decoder)
    assert rows(decoder) == [[12, 4]]


def test_a_short_prompt_passes_a_long_one() -> None:
    decoder = FakeDecoder(max_batch=16)
    scheduler = make_scheduler(decoder)
    for prompt in (range(200), range(300, 306)):
        scheduler.add(sequence(prompt, 1)[0])
    step(scheduler, decoder)
    assert rows(decoder) == [[10, 6]]


def test_a_prefix_being_computed_is_joined_instead_of_computed_twice() -> None:
    decoder = FakeDecoder(num_cells=1200, max_batch=100)
    scheduler = make_scheduler(decoder, prefill_rate=80)
    document = list(range(1, 201))
    seqs: list[Sequence] = []
    callers: list[Listener] = []
    for question in range(4):
        seq, listener = sequence([*document, 900 + question, 5], 2)
        scheduler.add(seq)
        seqs.append(seq)
        callers.append(listener)
    run(scheduler, decoder)
    assert [seq.num_cached for seq in seqs] == [0, 200, 200, 200]
    for seq, listener in zip(seqs, callers, strict=True):
        assert listener.text == text_of(completion(seq.prompt, 2))


def test_a_waiting_large_request_is_not_overtaken_for_ever() -> None:
    decoder = FakeDecoder(num_cells=60)
    scheduler = make_scheduler(decoder)
    running, _ = sequence(range(20), 10)
    scheduler.add(running)
    step(scheduler, decoder)
    large, _ = sequence(range(100, 140), 5)
    small, _ = sequence(range(200, 205), 5)
    scheduler.add(large)
    scheduler.add(small)
    step(scheduler, decoder)
    assert scheduler.running == [running]
    run(scheduler, decoder)


def test_cancel_frees_the_slot_and_keeps_the_prefix_claimable() -> None:
    decoder = FakeDecoder()
    scheduler = make_scheduler(decoder, num_slots=1)
    seq, listener = sequence(range(30), 50)
    scheduler.add(seq)
    step(scheduler, decoder)
    assert scheduler.cancel(seq)
    assert not scheduler.cancel(seq)
    assert scheduler.slots.has_seat
    again, _ = sequence(range(30), 2)
    scheduler.add(again)
    run(scheduler, decoder)
    assert again.num_cached == 16
    assert listener.updates == []


def test_a_failed_batch_takes_out_its_sequences_and_leaves_the_cache_as_it_was() -> None:
    decoder = FakeDecoder()
    scheduler = make_scheduler(decoder, num_slots=1)
    victim, _ = sequence(range(30), 4)
    waiting, listener = sequence(range(100, 105), 3)
    scheduler.add(victim)
    scheduler.add(waiting)
    step(scheduler, decoder)
    slot = victim.slot_id
    assert slot is not None
    committed = decoder.held(slot)
    batch = scheduler.schedule()
    assert batch is not None
    decoder.decode(batch)
    assert scheduler.fail(batch) == [victim]
    assert decoder.held(slot) == committed
    run(scheduler, decoder)
    assert listener.text == text_of(completion(waiting.prompt, 3))
