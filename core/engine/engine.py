"""The one thread that owns a model's context: mailbox, step, delivery.

Other threads only leave sequences, cancellations and errands in the mailbox. Every accepted sequence gets exactly one
last `Update`: finished, or an error; a cancelled one gets none, since nobody listens any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from core.engine.batch import Batch
from core.engine.decoder import Decoder
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sampling, Sequence, Update
from core.errors import CoreError, DecodeFailed, QueueFull, ShuttingDown

logger = logging.getLogger("warmfn.engine")

T = TypeVar("T")


class Engine:
    """Continuous batching over a `Decoder`.

    `max_queue` bounds accepted sequences that wait for a seat. `prepare` is the first thing that the thread does.
    `on_step(batch, seconds)` observes every decoded batch, `estimate(batch)` tells how many seconds one will take.
    """

    def __init__(
        self,
        decoder: Decoder,
        scheduler: Scheduler,
        *,
        max_queue: int = 64,
        prepare: Callable[[], None] = lambda: None,
        on_step: Callable[[Batch, float], None] = lambda batch, seconds: None,
        estimate: Callable[[Batch], float] = lambda batch: 0.0,
        name: str = "engine",
    ) -> None:
        self._decoder = decoder
        self._scheduler = scheduler
        self._max_queue = max_queue
        self._prepare = prepare
        self._on_step = on_step
        self._estimate = estimate
        self._mail = threading.Condition()
        self._new: list[Sequence] = []
        self._cancelled: list[Sequence] = []
        self._errands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._refusal: CoreError | None = None
        self._rests = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def num_running(self) -> int:
        return len(self._scheduler.running)

    @property
    def num_waiting(self) -> int:
        return len(self._new) + len(self._scheduler.waiting)

    @property
    def is_idle(self) -> bool:
        """Whether every accepted sequence has ended."""
        with self._mail:
            return self._rests and not self._new

    def backlog(self) -> tuple[int, int]:
        """(prompt tokens, completion tokens) that accepted sequences may still need, the latter at most."""
        with self._mail:
            seqs = [*self._scheduler.running, *self._scheduler.waiting, *self._new]
        return (
            sum(max(seq.num_prompt - seq.num_computed, 0) for seq in seqs),
            sum(seq.max_tokens - seq.num_generated for seq in seqs),
        )

    def prompt_tokens_ahead(self, prompt: list[int]) -> tuple[int, int]:
        """Prompt tokens to compute until `prompt` is: (of accepted sequences, its own).

        What the cache holds, or is about to, does not count. The engine goes on meanwhile, so it is an estimate.
        """
        missing = self._scheduler.slots.num_missing
        with self._mail:
            running = list(self._scheduler.running)
            waiting = [*self._scheduler.waiting, *self._new]
        ahead = sum(max(seq.num_prompt - seq.num_computed, 0) for seq in running)
        return ahead + sum(missing(seq.prompt) for seq in waiting), missing(prompt)

    def submit(self, seq: Sequence) -> None:
        """Accept `seq`, or raise QueueFull, ShuttingDown or what broke the engine. Any thread may call."""
        with self._mail:
            if self._refusal:
                raise self._refusal.anew()
            if self.num_waiting >= self._max_queue:
                raise QueueFull(f"{self._max_queue} requests are waiting already (`max_queue`)")
            self._new.append(seq)
            self._mail.notify()

    def compute(self, prompt: list[int], max_tokens: int = 1) -> None:
        """Go on from `prompt` for as many tokens, and wait for it. Raises what `submit` does, or what ended it."""
        updates: SimpleQueue[Update] = SimpleQueue()
        self.submit(Sequence(prompt, max_tokens, updates.put, Sampling(temperature=0)))
        while not (update := updates.get()).is_last:
            pass
        if update.error:
            raise update.error

    def cancel(self, seq: Sequence) -> None:
        """End `seq` before the next step, if it has not ended. Any thread may call."""
        with self._mail:
            self._cancelled.append(seq)
            self._mail.notify()

    def call(self, errand: Callable[[], T]) -> Future[T]:
        """Run `errand` on the engine's thread once nothing runs and nothing waits. Any thread may call."""
        done: Future[T] = Future()
        with self._mail:
            if self._refusal:
                done.set_exception(self._refusal.anew())
            else:
                self._errands.append((errand, done))
                self._mail.notify()
        return done

    def close(self) -> None:
        """Refuse new sequences, end the accepted ones with ShuttingDown, and wait for the thread."""
        with self._mail:
            self._refusal = self._refusal or ShuttingDown("the model is being closed")
            self._mail.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._end_all(ShuttingDown("the model was closed before the reply was complete"))

    def step(self) -> None:
        """Compute one batch and deliver what came of it."""
        self._take_mail()
        batch = self._next_batch()
        if batch is None:
            self._run_errand()
            return
        started = time.perf_counter()
        try:
            self._open_new(batch)
            sampled = self._decoder.decode(batch)
        except DecodeFailed as error:
            self._fail(batch, error)
            return
        self._on_step(batch, time.perf_counter() - started)
        for seq, update in self._scheduler.commit(batch, sampled, self._decoder.pieces):
            if update.is_last:
                self._decoder.close(seq)
            seq.deliver(update)

    def _run(self) -> None:
        try:
            self._prepare()
            while self._wait_for_work():
                self.step()
        except Exception as error:  # the thread boundary: without it, accepted requests would wait for ever
            logger.exception("the engine stopped")
            with self._mail:
                self._refusal = DecodeFailed(f"the engine stopped: {error}")
            self._end_all(self._refusal)

    def _wait_for_work(self) -> bool:
        """Sleep until there is something to do; False once closed."""
        with self._mail:
            while not (self._refusal or self._new or self._cancelled or self._errands or self._scheduler.has_work):
                self._rests = True
                self._mail.wait()
            self._rests = False
            return self._refusal is None

    def _take_mail(self) -> None:
        with self._mail:
            for seq in self._new:
                self._scheduler.add(seq)
            cancelled = self._cancelled
            self._new, self._cancelled = [], []
        for seq in cancelled:
            if self._scheduler.cancel(seq):
                self._decoder.close(seq)

    def _run_errand(self) -> None:
        if not self._errands:
            return
        errand, done = self._errands.popleft()
        try:
            done.set_result(errand())
        except Exception as error:  # the thread boundary: whoever waits for it is told
            done.set_exception(error)

    def _next_batch(self) -> Batch | None:
        """What to compute next, once those have ended that would be too late after it."""
        self._cut_overdue(0.0)
        while batch := self._scheduler.schedule():
            if not self._cut_overdue(self._estimate(batch)):
                return batch
        return None

    def _cut_overdue(self, seconds: float) -> bool:
        """Whether a step of that length would have been too much for some."""
        overdue = self._scheduler.overdue(seconds)
        for seq in overdue:
            self._scheduler.cancel(seq)
            self._decoder.close(seq)
            seq.deliver(seq.cut())
        return bool(overdue)

    def _open_new(self, batch: Batch) -> None:
        for chunk in batch.chunks:
            if chunk.start == chunk.seq.num_cached:
                self._decoder.open(chunk.seq)

    def _fail(self, batch: Batch, error: DecodeFailed) -> None:
        for seq in self._scheduler.fail(batch):
            self._decoder.close(seq)
            seq.deliver(Update(error=error))

    def _end_all(self, error: CoreError) -> None:
        with self._mail:
            seqs = [*self._scheduler.running, *self._scheduler.waiting, *self._new]
            for accepted in (self._scheduler.running, self._scheduler.waiting, self._new):
                accepted.clear()
            errands = [done for _, done in self._errands]
            self._errands.clear()
        for seq in seqs:
            seq.deliver(Update(error=error.anew()))
        for done in errands:
            done.set_exception(error.anew())
        self._rests = True
