"""One request and everything seen of it: a line of `requests.jsonl`.

Times are `time.perf_counter_ns` of this host; `result.json` holds one wall-clock anchor for them. A request that was
scheduled always becomes a record, also if it failed or was cut off by the end of the run.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

POLL = "poll"
"""The transport whose replies come in lots, so that nothing is known of the time between tokens."""
INTERRUPTED = "interrupted: the run ended first"
CUT_OFF = "cut off: it still ran when the drain had ended"


@dataclass
class RequestRecord:
    """`isl`, `osl` and `cached` are the server's own counts of prompt, completion and reused prompt tokens, `isl_req`
    and `osl_req` what was asked for (0: the workload's own length). `template_tokens` are those of the prompt around
    what was asked. `chunks` holds [ns since t_send, tokens or None] of each piece of text, `chars` its length. `texts`
    is how many were embedded. `refused` tells a server that sheds load from one that fails."""

    target: str
    stage: str
    round: int
    index: int
    isl_req: int
    osl_req: int
    t_sched: int
    t_send: int | None = None
    t_first_byte: int | None = None
    t_first_tok: int | None = None
    t_last_tok: int | None = None
    t_end: int | None = None
    chunks: list[tuple[int, int | None]] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    isl: int | None = None
    osl: int | None = None
    cached: int | None = None
    token_source: str | None = None
    finish: str | None = None
    status: int | None = None
    server_timings: dict[str, Any] | None = None
    err: str | None = None
    refused: bool = False
    retry_after_s: float | None = None
    texts: int | None = None
    template_tokens: int | None = None
    transport: str | None = None

    @property
    def ok(self) -> bool:
        return self.err is None and self.t_end is not None

    @property
    def censored(self) -> bool:
        """Its end was never seen, because the bench ended it."""
        return self.err in (INTERRUPTED, CUT_OFF)

    @property
    def ttft_ms(self) -> float | None:
        """From the moment it was due, so a late client counts against the result, to the first text."""
        return None if self.t_first_tok is None else (self.t_first_tok - self.t_sched) / 1e6

    @property
    def lag_ms(self) -> float | None:
        return None if self.t_send is None else (self.t_send - self.t_sched) / 1e6

    @property
    def ttfb_ms(self) -> float | None:
        return None if self.t_first_byte is None else (self.t_first_byte - self.t_sched) / 1e6

    @property
    def e2e_ms(self) -> float | None:
        return None if self.t_end is None else (self.t_end - self.t_sched) / 1e6

    @property
    def ttft_from_send_ms(self) -> float | None:
        """Without the client's own lateness: what the server is to blame for."""
        return None if self.t_first_tok is None or self.t_send is None else (self.t_first_tok - self.t_send) / 1e6

    @property
    def e2e_from_send_ms(self) -> float | None:
        return None if self.t_end is None or self.t_send is None else (self.t_end - self.t_send) / 1e6

    @property
    def itl_ms(self) -> float | None:
        """Mean gap between tokens of this request, the first token left out. A reply that was polled tells none."""
        if self.t_first_tok is None or self.t_last_tok is None or self.osl is None or self.osl < 2:
            return None
        if self.transport == POLL:
            return None
        return (self.t_last_tok - self.t_first_tok) / 1e6 / (self.osl - 1)

    @property
    def gaps_ms(self) -> list[float]:
        """Between one piece of text and the next: a stall shows here and not in the mean."""
        if self.transport == POLL:
            return []
        return [(later - earlier) / 1e6 for (earlier, _), (later, _) in pairwise(self.chunks)]

    @property
    def decode_tok_s(self) -> float | None:
        return 1e3 / self.itl_ms if self.itl_ms else None

    @property
    def prefill_tok_s(self) -> float | None:
        """As the server itself timed it; what the client can see includes the queue."""
        timings = self.server_timings or {}
        count, milliseconds = timings.get("prompt_n"), timings.get("prompt_ms")
        return 1e3 * count / milliseconds if count and milliseconds else None

    @property
    def queue_ms(self) -> float | None:
        return (self.server_timings or {}).get("queue_ms")

    def line(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_line(cls, line: str) -> RequestRecord:
        """Raises ValueError or TypeError for a line that is none of ours."""
        record = cls(**json.loads(line))
        record.chunks = [(at, tokens) for at, tokens in record.chunks]
        return record
