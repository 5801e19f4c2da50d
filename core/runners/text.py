"""A text model kept warm: vocabulary, prompt template and limits in front of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, ClassVar, Literal, Protocol

from core.config.model import ModelConfig
from core.engine.engine import Decoder, Engine
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sampling, Sequence, Update
from core.engine.slots import Slots
from core.engine.text import TextStream
from core.errors import ContextLengthExceeded, InvalidRequest, ModelUnusable, QueueFull
from core.speed import Speed

SAMPLING_DEFAULTS = Sampling(temperature=0.9, top_k=40, top_p=0.95)
"""LocalAI's; a model's YAML overrides them, a request overrides both."""


@dataclass(frozen=True)
class Limits:
    """How a text model's memory and batches are divided, in tokens, but for `slots`, `holders` and `max_queue`, which
    count sequences. `min_copy` and `max_scores` as in `Slots` and `Scheduler`."""

    context_size: int
    slots: int
    holders: int
    kv: Literal["unified", "split"]
    kv_tokens: int
    min_copy: int
    max_batch: int
    max_scores: int | None
    default_max_tokens: int
    max_queue: int


class TextModel(Protocol):
    """What a runner needs of a model besides decoding; any thread may call it."""

    @property
    def can_cut_memory(self) -> bool: ...
    @property
    def adds_bos(self) -> bool: ...
    @property
    def bos(self) -> int: ...
    @property
    def end_tokens(self) -> frozenset[int]: ...
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def check_tokens(self, tokens: List[int], *, param: str) -> None: ...
    def close(self) -> None: ...


class ChatTemplate(Protocol):
    def render(self, messages: List[Mapping[str, Any]]) -> str: ...


class ContextOwner(Decoder, Protocol):
    def free(self) -> None: ...


class TextRunner:
    """Owns the model, its context and the engine's thread until `close`."""

    kind: ClassVar[Literal["text"]] = "text"

    def __init__(
        self,
        config: ModelConfig,
        model: TextModel,
        context: ContextOwner,
        limits: Limits,
        template: ChatTemplate | None,
    ) -> None:
        self.name = config.name
        self.limits = limits
        self.speed = Speed()
        self._config = config
        self._model = model
        self._context = context
        self._template = template
        slots = Slots(
            context,
            num_slots=limits.slots,
            num_holders=limits.holders,
            num_cells=limits.kv_tokens,
            min_copy=limits.min_copy,
            can_cut=model.can_cut_memory,
        )
        scheduler = Scheduler(slots, max_batch=limits.max_batch, max_scores=limits.max_scores)
        self.engine = Engine(
            context, scheduler, max_queue=limits.max_queue, on_step=self.speed.observe, name=config.name
        )
        self.engine.start()

    def close(self) -> None:
        self.engine.close()
        self._context.free()
        self._model.close()

    @property
    def facts(self) -> dict[str, Any]:
        shown = ("context_size", "slots", "kv", "kv_tokens", "default_max_tokens", "max_queue")
        return {name: getattr(self.limits, name) for name in shown}

    def warm(self) -> None:
        """Compute a few tokens, so that weights are paged in and buffers made before the first request."""
        updates: SimpleQueue[Update] = SimpleQueue()
        prompt = self._model.tokenize("Hello", add_special=True, parse_special=False)
        self.engine.submit(Sequence(prompt, 2, updates.put, Sampling(temperature=0)))
        while not (update := updates.get()).is_last:
            pass
        if update.error:
            raise update.error

    def chat_prompt(self, messages: List[Mapping[str, Any]]) -> list[int]:
        """Render the model's chat template and tokenize what it prints."""
        if self._template is None:
            raise ModelUnusable(
                f"{self.name} has no chat template: its GGUF carries none and its YAML names none. "
                "Use /v1/completions, or a model made for chat"
            )
        return self.text_prompt(self._template.render(messages))

    def text_prompt(self, text: str) -> list[int]:
        """Tokens with exactly one BOS where the model wants one, whether or not the text begins with it."""
        tokens = self._model.tokenize(text, add_special=False, parse_special=True)
        if self._model.adds_bos and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        return tokens

    def token_prompt(self, tokens: list[int]) -> list[int]:
        """A prompt given as this model's own token ids is taken as it is."""
        self._model.check_tokens(tokens, param="prompt")
        return tokens

    def submit(
        self,
        prompt: list[int],
        deliver: Callable[[Update], None],
        *,
        max_tokens: int | None = None,
        stop: List[str] = (),
        ignore_eos: bool = False,
        **sampling: Any,
    ) -> Sequence:
        """Queue one completion. Values that are None come from the model's YAML, then from the defaults.

        Raises ContextLengthExceeded, InvalidRequest, QueueFull or ShuttingDown; nothing is queued then.
        """
        seq = Sequence(
            prompt,
            self._max_tokens(len(prompt), max_tokens),
            deliver,
            self._sampling(sampling),
            frozenset() if ignore_eos else self._model.end_tokens,
            TextStream([*self._config.stopwords, *stop]),
        )
        try:
            self.engine.submit(seq)
        except QueueFull as error:
            raise QueueFull(error.message, retry_after=self._seconds_to_a_place()) from None
        return seq

    def _max_tokens(self, num_prompt: int, asked: int | None) -> int:
        if not num_prompt:
            raise InvalidRequest("the prompt is empty: send at least one token", param="prompt")
        room = self.limits.context_size - num_prompt
        if room < (asked or 1):
            raise ContextLengthExceeded(
                f"{self.name} takes {self.limits.context_size} tokens, prompt and completion together; the prompt has "
                f"{num_prompt} and the completion may have {asked or 1}: shorten the prompt or lower max_tokens",
                prompt_tokens=num_prompt,
                context_size=self.limits.context_size,
                max_tokens=asked,
            )
        return asked or min(self._config.parameters.max_tokens or self.limits.default_max_tokens, room)

    def _sampling(self, asked: Mapping[str, Any]) -> Sampling:
        own = self._config.parameters.model_dump(include=set(Sampling.__dataclass_fields__), exclude_none=True)
        requested = {name: value for name, value in asked.items() if value is not None}
        sampling = replace(SAMPLING_DEFAULTS, **(own | requested))
        self._model.check_tokens([token for token, _ in sampling.logit_bias], param="logit_bias")
        return sampling

    def _seconds_to_a_place(self) -> float:
        """Time in which all accepted work is done, over the number of requests it frees."""
        requests = self.engine.num_running + self.engine.num_waiting
        return self.speed.seconds(*self.engine.backlog()) / max(requests, 1)
