from __future__ import annotations

import threading

import pytest

from core.engine.engine import Engine
from core.errors import DecodeFailed, QueueFull, ShuttingDown
from tests.fakes import END, FakeDecoder, completion, fail_decode, make_scheduler, sequence, text_of
from tests.serving import eventually


def make(decoder: FakeDecoder, **options: int) -> Engine:
    return Engine(decoder, make_scheduler(decoder, num_slots=2), **options)


def run(engine: Engine) -> None:
    for _ in range(200):
        engine.step()


def test_every_accepted_request_ends_exactly_once() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    jobs = [sequence(range(n, n + 6), 3) for n in range(8)]
    for seq, _ in jobs:
        engine.submit(seq)
    run(engine)
    for seq, listener in jobs:
        assert listener.text == text_of(completion(seq.prompt, 3))
        assert sum(update.is_last for update in listener.updates) == 1
    assert decoder.opened == set()


def test_an_end_token_stops_and_is_not_shown() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    seq, listener = sequence(range(5), 50)
    third = completion(seq.prompt, 3)[2]
    seq.end_tokens = frozenset({END, third})
    engine.submit(seq)
    run(engine)
    assert listener.last.finish_reason == "stop"
    assert listener.text == text_of(completion(seq.prompt, 2))
    assert seq.num_generated == 3


def test_the_queue_is_bounded() -> None:
    engine = make(FakeDecoder(), max_queue=3)
    for n in range(3):
        engine.submit(sequence(range(n, n + 4))[0])
    with pytest.raises(QueueFull, match="max_queue"):
        engine.submit(sequence(range(4))[0])
    engine.step()
    engine.submit(sequence(range(4))[0])


def test_cancel_frees_the_slot_within_one_step() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    seqs = [sequence(range(n, n + 40), 60)[0] for n in range(2)]
    late, listener = sequence(range(300, 304), 2)
    for seq in (*seqs, late):
        engine.submit(seq)
    engine.step()
    engine.cancel(seqs[0])
    engine.step()
    assert seqs[0].slot_id is None
    assert late.slot_id is not None
    assert seqs[0] not in decoder.opened
    run(engine)
    assert listener.ended


def test_a_failed_decode_ends_its_sequences_with_the_error_and_the_waiting_ones_run() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    jobs = [sequence(range(n, n + 6), 3) for n in range(4)]
    for seq, _ in jobs:
        engine.submit(seq)
    decoder.fail_next = fail_decode
    run(engine)
    errors = [listener.last.error for _, listener in jobs]
    assert [isinstance(error, DecodeFailed) for error in errors] == [True, True, False, False]
    assert all(listener.text == text_of(completion(seq.prompt, 3)) for seq, listener in jobs[2:])
    assert decoder.opened == set()


def test_close_ends_what_is_running_and_refuses_what_comes() -> None:
    decoder = FakeDecoder()
    engine = make(decoder)
    engine.start()
    jobs = [sequence(range(5), 200) for _ in range(3)]
    for seq, _ in jobs:
        engine.submit(seq)
    engine.close()
    for _, listener in jobs:
        assert listener.last.finish_reason or isinstance(listener.last.error, ShuttingDown)
    with pytest.raises(ShuttingDown):
        engine.submit(sequence(range(4))[0])


def test_a_crash_of_the_thread_resolves_every_request_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    decoder = FakeDecoder()
    engine = make(decoder)

    def crash() -> None:
        raise ZeroDivisionError("a bug")

    ended = threading.Event()
    seq, listener = sequence(range(6), 3)
    deliver = seq.deliver
    seq.deliver = lambda update: (deliver(update), ended.set() if update.is_last else None)[0]
    decoder.fail_next = crash
    engine.submit(seq)
    engine.start()
    assert ended.wait(5)
    assert isinstance(listener.last.error, DecodeFailed)
    refusals = []
    for _ in range(2):
        with pytest.raises(DecodeFailed, match="a bug") as raised:
            engine.submit(sequence(range(4))[0])
        refusals.append(raised.value)
    assert refusals[0] is not refusals[1], "a shared one would keep every caller's frames"
    assert "the engine stopped" in caplog.text
    assert eventually(lambda: engine.is_idle), "nobody would replace it"


def test_an_errand_is_run_on_the_engines_thread_once_nothing_runs() -> None:
    decoder = FakeDecoder()
    engine = Engine(decoder, make_scheduler(decoder))
    seq, listener = sequence(range(5), 6)
    engine.submit(seq)
    found = engine.call(lambda: (threading.current_thread().name, listener.ended))
    engine.start()
    assert found.result(5) == ("engine", True)
    failed = engine.call(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(5)
    engine.compute([1, 2, 3])
    engine.close()
    assert len(decoder.batches) == 7


def test_an_errand_that_comes_too_late_is_told_so() -> None:
    decoder = FakeDecoder()
    engine = Engine(decoder, make_scheduler(decoder))
    waiting = engine.call(lambda: None)
    engine.close()
    for found in (waiting, engine.call(lambda: None)):
        with pytest.raises(ShuttingDown):
            found.result(0)
