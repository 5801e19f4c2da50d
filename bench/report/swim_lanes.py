"""A lane for each request of one round: what it was waiting for, and when it was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.record import RequestRecord
from bench.report.figures import Lanes, Span

SHOWN = 40
PARTS = ("decode", "prefill", "queue", "queue and prefill", "not sent yet")


def swim_lanes(target: str, records: Sequence[RequestRecord]) -> Lanes:
    ordered = sorted(records, key=lambda record: record.t_sched)
    start = ordered[0].t_sched
    lanes = tuple((f"{record.index + 1}", tuple(_spans(record, start))) for record in ordered[:SHOWN])
    which = f"The first {SHOWN} of {len(ordered)} requests" if len(ordered) > SHOWN else "The requests"
    caption = f"{which} of round 1, as they were due. Queue: as the server reports it; prefill ends at the first token."
    return Lanes(f"Requests to {target}", caption, "seconds since the first request was due", lanes, PARTS)


def _spans(record: RequestRecord, start: int) -> Iterator[Span]:
    """Without a queue time from the server, the client cannot tell queue and prefill apart."""
    if record.t_send is None or record.t_first_tok is None or record.t_last_tok is None:
        return
    queue = record.queue_ms
    admitted = record.t_send if queue is None else min(record.t_send + int(queue * 1e6), record.t_first_tok)
    reading = "queue and prefill" if queue is None else "prefill"
    ends = (
        ("not sent yet", record.t_sched, record.t_send),
        ("queue", record.t_send, admitted),
        (reading, admitted, record.t_first_tok),
        ("decode", record.t_first_tok, record.t_last_tok),
    )
    for part, begin, end in ends:
        if end > begin:
            yield Span((begin - start) / 1e9, (end - start) / 1e9, part)
