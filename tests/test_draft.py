"""Which drafts pay, and what a step is found to cost."""

from __future__ import annotations

import random

import pytest

from core.engine.batch import Batch
from core.engine.draft import MAX_DRAFTED, DraftGovernor, expected
from core.engine.sequence import Sequence
from core.engine.step_cost import StepCost, measure_step_cost
from tests.fakes import END, FakeDecoder, sequence

CPU = {1: 1.0, 2: 1.6, 3: 1.7, 5: 1.9, 9: 2.3, 17: 3.4}
"""Two cores, in steps of one row."""

GPU = {1: 1.0, 2: 1.0, 3: 1.0, 5: 1.01, 9: 1.03, 17: 1.06}
DEAR = {1: 1.0, 2: 2.0, 3: 3.0, 5: 5.0, 9: 9.0, 17: 17.0}


def stream(acceptance: float, *, max_tokens: int = 100) -> Sequence:
    """A running stream that has a match."""
    seq, _ = sequence(range(1, 60), max_tokens, looks_up=True)
    for token in range(1, 4):
        seq.append(token, b"")
    assert seq.lookup
    seq.lookup.acceptance = acceptance
    return seq


def lengths(seconds: dict[int, float], seqs: list[Sequence], *, unified: bool = False, room: int = 500) -> list[int]:
    drafts = DraftGovernor(MAX_DRAFTED, unified=unified, cost=StepCost(seconds, unified=unified)).choose(seqs, room)
    return [len(drafts.get(seq, ())) for seq in seqs]


@pytest.mark.parametrize(
    ("seconds", "acceptances", "chosen"),
    [
        (CPU, [0.98], [16]),
        (CPU, [0.8], [8]),
        (CPU, [0.6], [4]),
        (CPU, [0.4], [0]),
        (CPU, [0.0], [0]),
        (CPU, [0.98, 0.98], [16, 16]),
        (CPU, [0.98, 0.4], [16, 2]),  # the long step is paid for, two rows more in it cost little
        (CPU, [0.8, 0.4], [0, 0]),
        (CPU, [0.98, 0.0, 0.0, 0.0], [0, 0, 0, 0]),
        (GPU, [0.4], [4]),
        (GPU, [0.1], [0]),
        (GPU, [0.98, 0.0, 0.0, 0.0], [8, 0, 0, 0]),
        (GPU, [0.98] * 5, [6] * 5),
        (DEAR, [0.98], [0]),
        (DEAR, [1.0], [0]),
    ],
)
def test_drafts_are_as_long_as_pays(seconds: dict[int, float], acceptances: list[float], chosen: list[int]) -> None:
    assert lengths(seconds, [stream(each) for each in acceptances], unified=seconds is GPU) == chosen


def test_a_draft_is_never_longer_than_what_may_still_come() -> None:
    for left in range(1, 6):
        seq = stream(1.0, max_tokens=3 + left)
        assert lengths(GPU, [seq]) == [left - 1]


@pytest.mark.parametrize("num_streams", [1, 5, MAX_DRAFTED, MAX_DRAFTED + 1])
@pytest.mark.parametrize("room", [-3, 0, 1, 12, 500])
def test_streams_share_the_room_of_the_batch_and_of_the_output_buffer(num_streams: int, room: int) -> None:
    found = lengths(GPU, [stream(1.0) for _ in range(num_streams)], unified=True, room=room)
    share = max(min(room, MAX_DRAFTED), 0) // num_streams
    assert found == [min(share, 16)] * num_streams


def test_a_draft_ends_before_an_end_token_because_nothing_comes_behind_it() -> None:
    seq = stream(1.0)
    seq.end_tokens = frozenset({END, 7})
    assert lengths(GPU, [seq]) == [3]
    seq.end_tokens = frozenset({END, 4})
    assert lengths(GPU, [seq]) == [0]


def test_nothing_is_drafted_without_a_match_a_lookup_or_a_measurement() -> None:
    silent, _ = sequence(range(1, 60), 100, looks_up=True)
    silent.append(1, b"")
    plain, _ = sequence(range(1, 60), 100)
    assert lengths(GPU, [silent, plain]) == [0, 0]
    assert DraftGovernor(MAX_DRAFTED, unified=True).choose([stream(1.0)], 500) == {}


def test_expected_tokens_are_the_mean_run_before_the_first_miss() -> None:
    chance = random.Random(3)
    for acceptance, length in ((0.0, 4), (0.5, 3), (0.9, 8), (1.0, 5)):
        runs = [next((i for i in range(length) if chance.random() >= acceptance), length) for _ in range(20_000)]
        assert expected(acceptance, length) == pytest.approx(sum(runs) / len(runs), abs=0.06)


@pytest.mark.parametrize(
    ("sizes", "unified", "seconds"),
    [
        ([1], False, 1.0),
        ([4], False, 1.8),  # halfway between 3 and 5
        ([33], False, 3.4 + 2 * 1.1),  # as the last two go on
        ([1, 1], False, 1.6),
        ([9, 9], False, 3.4 + 0.1 * 1.1 / 0.8),
        ([9, 1], False, 1.6 + (1.9 + 0.75 * 0.4)),  # a pass for both and one for the eight rows that are left
        ([2, 5, 1], False, 1.7 + 1.6 + 1.7),
        ([8, 1], True, 2.3),
    ],
)
def test_a_step_costs_its_passes(sizes: list[int], unified: bool, seconds: float) -> None:
    assert StepCost(CPU, unified=unified).seconds(sizes) == pytest.approx(seconds, abs=0.01)
    assert StepCost(CPU, unified=unified).seconds(sizes[::-1]) == pytest.approx(seconds, abs=0.01)


class TimedDecoder(FakeDecoder):
    """Takes 0.1 s for a batch and 0.01 s more for each further row, by a clock that only it moves."""

    def __init__(self) -> None:
        super().__init__(max_batch=20)
        self.now = 0.0
        self.disturbance = 0.0

    def decode(self, batch: Batch) -> list[list[int]]:
        self.now += 0.09 + 0.01 * batch.num_tokens + self.disturbance
        self.disturbance = 0.0
        return super().decode(batch)


def test_a_measurement_leaves_the_decoder_empty_and_keeps_to_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = TimedDecoder()
    monkeypatch.setattr("core.engine.step_cost.time.perf_counter", lambda: decoder.now)
    cost = measure_step_cost(decoder, max_rows=17, unified=True)
    assert cost.measured == (1, 5, 9)
    assert [cost.seconds([rows]) for rows in (1, 5, 9)] == pytest.approx([0.1, 0.14, 0.18])
    assert (decoder.cells, decoder.opened) == ([], set())


def test_a_disturbed_measurement_does_not_make_few_rows_dearer_than_many(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = TimedDecoder()
    monkeypatch.setattr("core.engine.step_cost.time.perf_counter", lambda: decoder.now)
    monkeypatch.setattr("core.engine.step_cost.ROWS", (5, 1, 9))
    decoder.decode = disturbed(decoder, after=1)  # type: ignore[method-assign]
    cost = measure_step_cost(decoder, max_rows=17, unified=True)
    assert cost.seconds([5]) == pytest.approx(0.18)


def test_a_model_with_small_batches_is_measured_within_them() -> None:
    assert measure_step_cost(FakeDecoder(max_batch=2), max_rows=2, unified=True).measured == (1, 2)


def disturbed(decoder: TimedDecoder, *, after: int):  # type: ignore[no-untyped-def]
    """`decoder.decode`, of which one call, after that many, takes 0.05 s more."""
    decode = decoder.decode
    calls = iter(range(1_000_000))

    def slow_once(batch: Batch) -> list[list[int]]:
        decoder.disturbance = 0.05 if next(calls) == after else 0.0
        return decode(batch)

    return slow_once
