"""Decides how many draft tokens each stream gets in a step: as many as pay, which is often none.

A draft is verified in the common batch by the real sampler, so it changes how fast a text comes and not which. It pays
if the tokens that it is expected to save are worth more than the time that its rows take from everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence as List
from itertools import takewhile

from core.engine.decoder import Decoder
from core.engine.sequence import Sequence
from core.engine.step_cost import StepCost, measure_step_cost

logger = logging.getLogger("warmfn.engine")

MAX_DRAFTED = 32
"""Draft tokens in one step, of all streams together; each takes a row of vocabulary x 4 bytes in the output buffer."""

MIN_GAIN = 1.2
"""What a draft must promise, as a factor: estimates err, and what it may lose in a text that repeats nothing is not
worth a small gain in others. In replays of recorded answers of
SmolLM2 against its step costs, free text then kept at least 0.995 of its rate and copies lost nothing."""

Drafts = dict[Sequence, tuple[int, ...]]


class DraftGovernor:
    """Knows what a step costs on this host (`StepCost`) and what each stream's lookup is worth (`PromptLookup`).

    It drafts if that makes the product of all streams' rates markedly larger, the usual measure of a fair gain
    (proportional fairness, Kelly 1997). One stream among n must gain what its rows cost all n: so under load drafts
    cease where rows cost much, as on a CPU, and go on where they cost little.
    """

    def __init__(self, max_drafted: int, *, unified: bool, cost: StepCost | None = None) -> None:
        """At most `max_drafted` tokens in one step, and none until a `cost` is known."""
        self._max_drafted = max_drafted
        self._unified = unified
        self._cost = cost

    def calibrate(self, decoder: Decoder) -> None:
        """Measure, unless the cost is known; the decoder must be empty and is so afterwards."""
        if self._cost:
            return
        self._cost = measure_step_cost(decoder, max_rows=1 + self._max_drafted, unified=self._unified)
        logger.info("drafts: a step of so many rows takes so many ms: %s", self._cost)

    def choose(self, streams: List[Sequence], room: int) -> Drafts:
        """The drafts for one step of these streams, of at most `room` tokens; streams that get none are left out."""
        drafts: Drafts = {}
        matched = [index for index, seq in enumerate(streams) if seq.lookup and seq.lookup.has_match]
        if self._cost is None or not matched:
            return drafts
        share = max(min(room, self._max_drafted), 0) // len(matched)
        sizes = [1] * len(streams)
        for index in matched:
            seq = streams[index]
            if draft := _draft(seq, self._best_length(self._cost, seq, sizes, index, share)):
                drafts[seq] = draft
                sizes[index] += len(draft)
        return drafts

    def slowdown(self, sizes: List[int]) -> float:
        """How many times longer a step of so many rows for each stream takes than with one for each."""
        assert self._cost
        return self._cost.seconds(sizes) / self._cost.seconds([1] * len(sizes))

    def _best_length(self, cost: StepCost, seq: Sequence, sizes: List[int], index: int, room: int) -> int:
        """The draft of stream `index` that raises the product of rates most; 0 if none does."""
        assert seq.lookup
        room = min(room, seq.max_tokens - seq.num_generated - 1)  # the last token comes from the sampler in any case
        without = cost.seconds(sizes)
        best, gain = 0, MIN_GAIN
        for length in {min(rows - 1, room) for rows in cost.measured[1:]}:
            seconds = cost.seconds([*sizes[:index], 1 + length, *sizes[index + 1 :]])
            found = (1 + expected(seq.lookup.acceptance, length)) * (without / seconds) ** len(sizes)
            if found > gain:
                best, gain = length, found
        return best


def expected(acceptance: float, length: int) -> float:
    """Tokens of a draft that are accepted before the first that is not: the sum of acceptance^i over i = 1..length."""
    if acceptance == 1:
        return length
    return acceptance * (1 - acceptance**length) / (1 - acceptance)


def _draft(seq: Sequence, length: int) -> tuple[int, ...]:
    """Up to an end token: behind it nothing comes."""
    assert seq.lookup
    return tuple(takewhile(lambda token: token not in seq.end_tokens, seq.lookup.draft(length)))
