"""What a measurement has found so far: whatever ends it, this can be reported."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.context.ladder import build_ladder, effective_limit, latency_limit, memory_limit
from bench.context.latency import latency_part
from bench.context.parts import ContextPart, LatencyPart, Limit, LimitName, MemoryPart, OverflowPart, Timing
from bench.context.scores import Scores
from bench.context.server import ServerFacts
from bench.errors import BenchError
from bench.slo import Slo


@dataclass
class Findings:
    """`lengths` are those that were read, as they were planned; `timings` have them as the server counted."""

    slo: Slo
    seed: int
    advertised: Limit = field(default=Limit(tokens=None, why="the weights are not here, and the server does not tell"))
    configured: Limit = field(default=Limit(tokens=None, why="the server was not asked yet"))
    memory: MemoryPart | None = None
    why_no_memory: str = "the weights are not here"
    lengths: list[int] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    confirmed: int | None = None
    confirmations: list[Timing] = field(default_factory=list)
    scores: Scores | None = None
    overflow: OverflowPart | None = None
    reuses_prefixes: bool | None = None

    @property
    def longest(self) -> int:
        """Of the prompts that were read. Raises BenchError if none was."""
        if not self.timings:
            raise BenchError("the server takes not even the shortest text: see --max-length")
        return max(timing.tokens for timing in self.timings)

    @property
    def latency(self) -> LatencyPart | None:
        return latency_part(self.timings, self.slo, self.confirmed, self.confirmations)

    def note(self, facts: ServerFacts) -> None:
        if self.advertised.tokens is None and facts.advertised:
            self.advertised = Limit(tokens=facts.advertised, why="n_ctx_train of /v1/models")
        self.configured = Limit(tokens=facts.configured, why=facts.source or "the server does not tell")

    def note_configured(self, tokens: int, why: str) -> None:
        """What trying has shown goes before what the server says of itself."""
        self.configured = Limit(tokens=tokens, why=f"found by trying: {why}")

    def part(self, wall_s: float) -> ContextPart:
        latency, effective = self.latency, self.scores.part() if self.scores else None
        limits: dict[LimitName, Limit] = {
            "advertised": self.advertised,
            "configured": self.configured,
            "memory": memory_limit(self.memory, self.why_no_memory),
            "latency": latency_limit(latency),
            "effective": effective_limit(effective),
        }
        return ContextPart(
            seed=self.seed,
            ladder=build_ladder(limits, self.longest if self.timings else None),
            memory=self.memory,
            latency=latency,
            effective=effective,
            overflow=self.overflow,
            lengths=self.lengths,
            reuses_prefixes=self.reuses_prefixes,
            wall_s=wall_s,
        )
