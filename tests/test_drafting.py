"""A draft changes how fast a text comes and nothing else: the fake cache fails on whatever is left of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine.draft import MAX_DRAFTED, DraftGovernor
from core.engine.engine import Engine
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sequence
from core.engine.step_cost import StepCost
from core.engine.text import TextStream
from core.schema.replies import timings
from tests.fakes import (
    END,
    FREE_ROWS,
    FakeDecoder,
    Listener,
    completion,
    fail_decode,
    make_scheduler,
    next_token,
    reciter,
    sequence,
    text_of,
)

FREE = StepCost(FREE_ROWS, unified=True)


def drafting(decoder: FakeDecoder, **options: Any) -> Scheduler:
    return make_scheduler(decoder, governor=DraftGovernor(MAX_DRAFTED, unified=True, cost=FREE), **options)


def open_decoder(**options: Any) -> FakeDecoder:
    return FakeDecoder(num_cells=options.pop("num_cells", 600), max_batch=40, model=reciter, **options)


def speaker(start: int, max_tokens: int, **options: Any) -> tuple[Sequence, Listener]:
    return sequence(range(start, start + 20), max_tokens, looks_up=True, **options)


def run(engine: Engine) -> None:
    for _ in range(500):
        engine.step()


def run_one(max_tokens: int, **options: Any) -> tuple[Sequence, Listener, FakeDecoder]:
    decoder = open_decoder()
    engine = Engine(decoder, drafting(decoder))
    seq, listener = speaker(1, max_tokens, **options)
    engine.submit(seq)
    run(engine)
    assert listener.ended
    return seq, listener, decoder


@pytest.mark.parametrize("unified", [True, False])
def test_texts_are_the_same_with_drafts_and_take_fewer_steps(unified: bool) -> None:
    decoder = open_decoder(unified=unified)
    engine = Engine(decoder, drafting(decoder))
    jobs = [(speaker(1 + 100 * n, 30 + 5 * n), 30 + 5 * n) for n in range(6)]
    for (seq, _), _ in jobs:
        engine.submit(seq)
    run(engine)
    for (seq, listener), count in jobs:
        assert listener.text == text_of(completion(seq.prompt, count, reciter))
        assert seq.num_generated == count
        assert 0 < seq.num_accepted < seq.num_drafted
    assert len(decoder.batches) < max(count for _, count in jobs) + 35


@pytest.mark.parametrize("count", range(1, 40))
def test_a_reply_has_exactly_as_many_tokens_as_were_asked_for(count: int) -> None:
    seq, listener, decoder = run_one(count)
    assert listener.text == text_of(completion(seq.prompt, count, reciter))
    assert (seq.num_generated, listener.last.finish_reason) == (count, "length")
    assert seq.num_accepted + len(decoder.batches) == count


@pytest.mark.parametrize("place", range(1, 30))
def test_an_end_token_within_a_draft_is_the_last_that_counts(place: int) -> None:
    words = completion(range(1, 21), 60, reciter)
    end = next(i for i, word in enumerate(words) if word == words[place])
    seq, listener, _ = run_one(60, end_tokens=frozenset({END, words[place]}))
    assert listener.text == text_of(words[:end])
    assert (seq.num_generated, listener.last.finish_reason) == (end + 1, "stop")


@pytest.mark.parametrize("place", range(1, 30))
def test_a_stop_string_within_a_run_of_accepted_tokens_ends_it_there(place: int) -> None:
    words = completion(range(1, 21), 60, reciter)
    whole = text_of(words)
    stop = text_of(words[place : place + 2])
    seq, listener, _ = run_one(60, text=TextStream([stop]))
    assert listener.text == whole[: whole.index(stop)]
    assert listener.last.finish_reason == "stop"
    kept = text_of(seq.tokens[seq.num_prompt :])
    assert kept == whole[: len(kept)]
    assert kept.index(stop) + len(stop) == len(kept)


def test_drafts_need_no_cell_beyond_what_their_sequence_has_reserved() -> None:
    decoder = open_decoder(num_cells=100)
    engine = Engine(decoder, drafting(decoder, num_slots=2, num_holders=0))
    jobs = [speaker(1 + 100 * n, 30) for n in range(2)]
    for seq, _ in jobs:
        engine.submit(seq)
    run(engine)
    for seq, listener in jobs:
        assert listener.text == text_of(completion(seq.prompt, 30, reciter))
        assert seq.num_drafted


def test_what_a_drafting_sequence_leaves_is_a_prefix_for_others() -> None:
    decoder = open_decoder()
    scheduler = drafting(decoder)
    engine = Engine(decoder, scheduler)
    first, _ = speaker(1, 41)
    engine.submit(first)
    run(engine)
    again, listener = sequence([*first.tokens, 5], 5, looks_up=True)
    engine.submit(again)
    run(engine)
    assert again.num_cached == len(first.tokens) - 1
    assert listener.text == text_of(completion(again.prompt, 5, reciter))


def test_a_failed_step_with_drafts_leaves_only_what_was_committed() -> None:
    decoder = open_decoder()
    scheduler = drafting(decoder, num_slots=1)
    engine = Engine(decoder, scheduler)
    seq, listener = speaker(1, 60)
    engine.submit(seq)
    while not (decoder.batches and decoder.batches[-1].chunks[0].draft):
        engine.step()
    committed = seq.num_computed
    decoder.fail_next = fail_decode
    while not listener.ended:
        committed = seq.num_computed
        engine.step()
    assert decoder.held(0) == seq.tokens[:committed]
    again, heard = speaker(1, 60)
    engine.submit(again)
    run(engine)
    assert heard.text == text_of(completion(again.prompt, 60, reciter))


def test_a_cancelled_stream_leaves_no_draft_behind() -> None:
    decoder = open_decoder()
    engine = Engine(decoder, drafting(decoder))
    seq, listener = speaker(1, 60)
    engine.submit(seq)
    while seq.num_drafted == 0:
        engine.step()
    engine.cancel(seq)
    run(engine)
    assert not listener.ended
    assert decoder.held(0) == seq.tokens[: seq.num_computed]


def test_nothing_is_drafted_while_somebody_waits_for_a_prompt() -> None:
    decoder = open_decoder()
    engine = Engine(decoder, drafting(decoder, prefill_rate=8))
    seq, _ = speaker(1, 60)
    engine.submit(seq)
    while seq.num_drafted == 0:
        engine.step()
    engine.submit(sequence(range(300, 340), 2)[0])
    run(engine)
    for batch in decoder.batches:
        if any(chunk.end - chunk.start > 1 for chunk in batch.chunks):
            assert not any(chunk.draft for chunk in batch.chunks)


def test_without_a_governor_a_sequence_is_never_drafted_for() -> None:
    decoder = open_decoder()
    engine = Engine(decoder, make_scheduler(decoder))
    seq, listener = speaker(1, 40)
    engine.submit(seq)
    run(engine)
    assert listener.text == text_of(completion(seq.prompt, 40, reciter))
    assert seq.num_drafted == 0
    assert "draft_n" not in timings(seq)


def test_a_text_that_repeats_nothing_is_not_drafted_for() -> None:
    decoder = FakeDecoder(max_batch=40, model=next_token)
    engine = Engine(decoder, drafting(decoder))
    seq, _ = speaker(1, 60)
    engine.submit(seq)
    run(engine)
    assert seq.num_drafted == 0


def test_timings_tell_what_was_drafted_and_what_came_of_it() -> None:
    seq, _, _ = run_one(40)
    assert timings(seq)["draft_n"] == seq.num_drafted > 0
    assert timings(seq)["draft_n_accepted"] == seq.num_accepted > 0


def test_what_is_to_be_prepared_comes_before_the_first_step() -> None:
    decoder = open_decoder()
    seen: list[int] = []
    engine = Engine(decoder, make_scheduler(decoder), prepare=lambda: seen.append(len(decoder.batches)))
    seq, listener = speaker(1, 2)
    engine.submit(seq)
    engine.start()
    engine.close()
    assert seen == [0]
    assert listener.ended
