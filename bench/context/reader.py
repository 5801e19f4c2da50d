"""Gives a server texts of wanted lengths: to time how it reads them, and to ask what stands in them."""

from __future__ import annotations

import hashlib
from string import ascii_lowercase
from time import perf_counter_ns

from bench.client import Client
from bench.context.haystack import GO_ON, Haystack, Question, haystack, plain_text
from bench.context.lengths import Ruler
from bench.context.parts import Timing
from bench.context.server import Answer, Kind, PlainClient
from bench.errors import BenchError
from bench.record import RequestRecord
from bench.scenario import Workload
from bench.transport.http import HttpTransport

TIMED_TOKENS = 16
"""Of the answer to a timed prompt: enough for the time between them."""
ANSWER_TOKENS = 56
"""Two steps in whole sentences; most answers end before."""
CALIBRATION = ((4, False), (44, False), (4, True))
"""Sentences, and whether facts are hidden among them."""
REFUSALS = (400, 413, 422)
CUT = 0.9
"""A prompt of which a server counts less than this part was cut."""


class PromptRefused(BenchError):
    """The server did not take a prompt of that length."""


class PromptCut(BenchError):
    """The server read less than it was sent; `counted` are the tokens it says it read."""

    def __init__(self, sent: int, counted: int) -> None:
        super().__init__(f"of a prompt of about {sent:,} tokens it read {counted:,} and did not say so")
        self.counted = counted


class Reader:
    """Every text opens with words that no cache has seen. `run` tells the runs apart; the rest of the texts depends on
    `seed`."""

    def __init__(self, base_url: str, model: str, kind: Kind, run: str, seed: int, api_key: str | None = None) -> None:
        """Create it within an event loop, and close it."""
        self._extra = {} if kind == "url" else {"ignore_eos": True}
        self._plain = PlainClient(base_url, model, api_key)
        self._streaming = Client(HttpTransport(base_url, api_key), model=model, workload=Workload(), extra=self._extra)
        self._run = run
        self._seed = seed
        self._texts = 0
        self._ruler: Ruler | None = None
        self._longest = ("", 0)

    async def close(self) -> None:
        await self._plain.close()
        await self._streaming.close()

    async def ask(self, prompt: str, max_tokens: int) -> Answer:
        return await self._plain.ask(prompt, max_tokens)

    async def ask_at_length(self, prompt: str, max_tokens: int) -> Answer:
        """For the whole of `max_tokens`, where this kind of server can be told so."""
        return await self._plain.ask(prompt, max_tokens, **self._extra)

    @property
    def longest(self) -> tuple[str, int]:
        """The longest prompt that was timed, and its tokens."""
        return self._longest

    @property
    def ruler(self) -> Ruler:
        assert self._ruler, "calibrate first"
        return self._ruler

    async def calibrate(self) -> float:
        """Learn how many tokens a sentence has. Returns the tokens per second at which a prompt of about a thousand
        is read."""
        counts, started = [], 0
        for sentences, facts in CALIBRATION:
            started = perf_counter_ns()
            answer = await self.ask(self._text(sentences, facts=facts), 1)
            counts.append((sentences, _counted(answer)))
        self._ruler = Ruler.from_counts(*counts)
        return counts[-1][1] / (perf_counter_ns() - started) * 1e9

    def haystack(self, tokens: int, number: int) -> Haystack:
        """The same facts in the same places at every length, and other ones for each `number`."""
        sentences = self.ruler.sentences(tokens, facts=True)
        return haystack(sentences, nonce=self._nonce(), seed=f"{self._seed}/{number}")

    def plain(self, sentences: int) -> str:
        return self._text(sentences, facts=False)

    async def time_haystack(self, stack: Haystack, tokens: int) -> Timing:
        """Read it for the first time; `tokens` is how long it is meant to be."""
        timing = await self._time(stack.text + GO_ON, tokens)
        self.ruler.refine(stack.num_sentences, timing.tokens, facts=True)
        return timing

    async def time_plain(self, tokens: int) -> Timing:
        return await self._time(self.plain(self.ruler.sentences(tokens, facts=False)) + GO_ON, tokens)

    async def ask_about(self, stack: Haystack, question: Question, tokens: int) -> Answer:
        answer = await self.ask(stack.asking(question), ANSWER_TOKENS)
        if not answer.ok:
            kind = PromptRefused if answer.status in REFUSALS else BenchError
            raise kind(f"a question on about {tokens:,} tokens: HTTP {answer.status}: {answer.code}: {answer.message}")
        return answer

    async def _time(self, prompt: str, tokens: int) -> Timing:
        record = RequestRecord("", "context", 0, 0, tokens, TIMED_TOKENS, t_sched=perf_counter_ns())
        await self._streaming.send(prompt, record)
        if record.status in REFUSALS:
            raise PromptRefused(f"a prompt of about {tokens:,} tokens: {record.err}")
        if record.err or record.ttft_ms is None:
            raise BenchError(f"a prompt of about {tokens:,} tokens failed: {record.err}")
        if record.isl is not None and record.isl < CUT * tokens:
            raise PromptCut(tokens, record.isl)
        if (count := record.isl or tokens) > self._longest[1]:
            self._longest = (prompt, count)
        return Timing(tokens=count, cached=record.cached, ttft_ms=record.ttft_ms, itl_ms=record.itl_ms)

    def _text(self, sentences: int, *, facts: bool) -> str:
        make, seed = self._nonce(), f"text {self._texts}"
        return (
            haystack(sentences, nonce=make, seed=seed).text if facts else plain_text(sentences, nonce=make, seed=seed)
        )

    def _nonce(self) -> str:
        """Letters only: a number could be taken for one of the facts."""
        self._texts += 1
        digest = hashlib.sha256(f"{self._run}/{self._texts}".encode()).digest()
        return "".join(ascii_lowercase[byte % 26] for byte in digest[:8])


def _counted(answer: Answer) -> int:
    if not answer.ok:
        raise BenchError(f"a short prompt was refused already: HTTP {answer.status}: {answer.message}")
    if not answer.prompt_tokens:
        raise BenchError("the server tells no usage.prompt_tokens, without which no length is known")
    return answer.prompt_tokens
