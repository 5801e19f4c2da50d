"""The prefix packs of one loaded text model: read back at warm-up, made on request or of what is served."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Sequence as List
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from core.config.problem import Problem
from core.engine.engine import Engine
from core.engine.prefix import StoredPrefix, common_prefix
from core.engine.sequence import Sequence, Update
from core.engine.slots import Slots
from core.errors import CoreError, DecodeFailed
from core.packs.folder import SERVED, Pack, PackFolder
from core.packs.survey import Survey
from core.speed import Speed

logger = logging.getLogger("warmfn.packs")

MIN_SERVED = 256
"""Tokens that two prompts must have begun with alike to be worth a file."""

MAX_COMING = 64
"""Beginnings that wait to be written, or could not be: with as many no others are tried."""

COVERED = 0.9
"""The part of a beginning that a pack must have to do for it."""


class Keeper(Protocol):
    """The part of a decoder that gives cached tokens away."""

    def save(self, seq_id: int) -> bytearray: ...


@dataclass(frozen=True)
class Made:
    """A new pack, and what its tokens take to compute and to read back."""

    pack: Pack
    prefill_seconds: float
    restore_seconds: float


class Packs:
    """What changes here or in `slots` does so on the engine's thread; another one writes and checks files."""

    def __init__(self, folder: PackFolder, engine: Engine, slots: Slots, keeper: Keeper, speed: Speed) -> None:
        self.folder = folder
        self.declared: dict[str, list[int]] = {}
        self.problems: List[Problem] = ()
        self._engine = engine
        self._slots = slots
        self._keeper = keeper
        self._speed = speed
        self._coming: list[list[int]] = []
        self._writer = ThreadPoolExecutor(1, "packs")
        self._is_closed = False

    def restore(self, found: Survey) -> None:
        """Read back what there is room for; the rest is checked meanwhile and follows when it is asked for."""
        self.declared, self.problems = found.declared, found.problems
        for problem in found.problems:
            logger.warning("%s", problem)
        if found.packs:
            count = self._engine.call(lambda: self._slots.restore_all(found.packs)).result()
            logger.info("%d of %d packs in %s are restored", count, len(found.packs), self.folder.path)
            self._writer.submit(self._check, [pack for pack in found.packs if not pack.is_ready])

    def make(self, source: str, tokens: list[int]) -> Made:
        """Compute and pack `tokens`, and read them back. Raises StoreError, DecodeFailed."""
        self._engine.call(self._slots.forget).result()
        started = time.perf_counter()
        self._engine.compute(tokens)
        computed = time.perf_counter()
        state = self._engine.call(lambda: self._copy(tokens)).result()
        if state is None:
            raise DecodeFailed(f"{source}: {len(tokens)} tokens were computed, and the cache does not hold them")
        keep = [self.folder.place(declared) for declared in self.declared.values()]
        pack = self.folder.write(tokens, source, state, computed - started, keep)
        started = time.perf_counter()
        if not self._engine.call(lambda: self._slots.restore(pack)).result():
            raise DecodeFailed(f"{source}: {pack} was written and cannot be read back")
        return Made(pack, pack.header.prefill_seconds, time.perf_counter() - started)

    def watching(self, seq: Sequence) -> Callable[[Update], None]:
        """In place of `seq.deliver`: once it has ended, what it had in common with an earlier one may become a pack."""
        deliver = seq.deliver

        def deliver_and_watch(update: Update) -> None:
            if update.is_last and seq.num_cached >= MIN_SERVED:
                self._consider(seq.prompt[: seq.num_cached])
            deliver(update)

        return deliver_and_watch

    def close(self) -> None:
        self._is_closed = True
        self._writer.shutdown()

    def _consider(self, tokens: list[int]) -> None:
        if len(self._coming) >= MAX_COMING:
            return
        known = (*self._coming, *(prefix.tokens for prefix in self._slots.stored))
        if max((common_prefix(tokens, other) for other in known), default=0) < COVERED * len(tokens):
            self._coming.append(tokens)
            self._engine.call(lambda: self._record(tokens))

    def _copy(self, tokens: list[int]) -> bytearray | None:
        slot = self._slots.isolate(tokens)
        return None if slot is None else self._keeper.save(slot)

    def _record(self, tokens: list[int]) -> None:
        if state := self._copy(tokens):  # else its cells were needed meanwhile
            self._writer.submit(self._write_served, tokens, state)
        else:
            self._coming.remove(tokens)

    def _check(self, packs: List[Pack]) -> None:
        """The writer's thread."""
        for pack in packs:
            if self._is_closed:
                return
            if not pack.check():
                self._engine.call(partial(self._slots.drop, pack))

    def _write_served(self, tokens: list[int], state: bytearray) -> None:
        """The writer's thread."""
        seconds = self._speed.seconds(len(tokens), 0)
        keep = [self.folder.place(declared) for declared in self.declared.values()]
        try:
            pack = self.folder.write(tokens, SERVED, state, seconds, keep)
        except CoreError as error:  # the beginning stays among those that come, so it is not tried again
            logger.warning("no pack is made of %d tokens: %s", len(tokens), error.message)
        else:
            logger.info("%s: %d tokens that prompts have begun with more than once", pack, len(tokens))
            pack.check()
            gone = [other for other in self._slots.stored if not self.folder.has(other)]
            self._engine.call(lambda: self._add(pack, gone))

    def _add(self, pack: Pack, gone: List[StoredPrefix]) -> None:
        self._slots.stored = (*(other for other in self._slots.stored if other not in gone), pack)
        self._coming.remove(pack.tokens)
