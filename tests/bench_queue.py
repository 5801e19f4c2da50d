"""A queue worked out on paper: requests with known arrivals at a server with known places and service time."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bench.record import RequestRecord
from bench.sample import Sample
from bench.stages import AnyStage, Closed

SECOND = 1_000_000_000


def served(stage: AnyStage, due: Sequence[float], *, places: int, service: float, seed: int | None = None) -> Sample:
    """Each request holds a place for `service` seconds (exponential of that mean with a `seed`, else exactly): half of
    it up to the first token, half to the second and last."""
    rng = random.Random(seed)
    sample = Sample("queue", stage, 0, due)
    free = [0.0] * places
    for moment in due:
        place = min(range(places), key=free.__getitem__)
        start = max(moment, free[place])
        length = service if seed is None else rng.expovariate(1 / service)
        free[place] = start + length
        _answer(sample.new_record(round(moment * SECOND)), start, length)
    return sample


def in_closed_loop(stage: Closed, *, places: int, service: float) -> Sample:
    """The same server, asked by clients that wait for their answers."""
    sample = Sample("queue", stage, 0)
    free, ready = [0.0] * places, [0.0] * stage.concurrency
    for _ in range(stage.requests):
        client = min(range(stage.concurrency), key=ready.__getitem__)
        place = min(range(places), key=free.__getitem__)
        start = max(ready[client], free[place])
        _answer(sample.new_record(round(ready[client] * SECOND)), start, service)
        free[place] = ready[client] = start + service
    return sample


def _answer(record: RequestRecord, start: float, length: float) -> None:
    record.t_send = record.t_sched
    record.t_first_byte = record.t_first_tok = round((start + length / 2) * SECOND)
    record.t_last_tok = record.t_end = round((start + length) * SECOND)
    record.chunks = [(record.t_first_tok - record.t_send, None), (record.t_last_tok - record.t_send, None)]
    record.chars = [2, 2]
    record.isl, record.osl, record.cached, record.token_source = record.isl_req, 2, 0, "usage"
