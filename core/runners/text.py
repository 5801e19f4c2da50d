"""A text model kept warm: vocabulary, prompt template and limits in front of an engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Sequence as List
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

from core import coldstart
from core.config.defaults import sampling_defaults
from core.config.model import ModelConfig
from core.config.problem import ConfigFault, Problem
from core.engine.deadline import Deadline
from core.engine.decoder import Decoder
from core.engine.draft import DraftGovernor
from core.engine.engine import Engine
from core.engine.prefill import PrefillPolicy
from core.engine.scheduler import Scheduler
from core.engine.sequence import Sampling, Sequence, Update
from core.engine.slots import Slots
from core.engine.step_cost import StepCost
from core.engine.text import TextStream
from core.errors import ContextLengthExceeded, InvalidRequest, ModelUnusable, QueueFull
from core.limits import MeasuredLimits
from core.llama.threads import Threads
from core.packs.folder import PackFolder
from core.packs.survey import Survey, survey
from core.prompt.lint.subject import Vocabulary
from core.prompt.prefixes import declared_prefixes
from core.prompt.prompts import OwnTemplate
from core.prompt.tokens import prompt_tokens
from core.runners.admission import check_in_time, seconds_to_a_place
from core.runners.behaviour import Behaviour, behaviour_of, what_is_loaded
from core.runners.packs import Keeper, Packs
from core.runners.text_limits import Limits
from core.speed import Speed

logger = logging.getLogger("warmfn.text")


@dataclass(frozen=True)
class Prompt:
    """What a model is to go on from, and how; `text` is empty where the request gave tokens."""

    tokens: list[int]
    behaviour: Behaviour
    text: str = ""


class TextModel(Vocabulary, Protocol):
    """What a runner needs of a model besides decoding; any thread may call it."""

    @property
    def can_cut_memory(self) -> bool: ...
    @property
    def attention_window(self) -> int | None: ...
    @property
    def end_tokens(self) -> frozenset[int]: ...
    def check_tokens(self, tokens: List[int], *, param: str) -> None: ...
    def close(self) -> None: ...


class ContextOwner(Decoder, Keeper, Protocol):
    @property
    def threads(self) -> Threads: ...
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
        template: OwnTemplate | None,
        folder: PackFolder | None = None,
        measured: MeasuredLimits | None = None,
    ) -> None:
        """With a `folder` it keeps prefix packs there; `measured` is what is known of its speed beforehand."""
        self.name = config.name
        self.limits = limits
        self.speed = Speed(measured)
        self._model = model
        self._context = context
        self._template = template
        self._behaviour = behaviour_of(config, self._template, self._model)
        slots = Slots(
            context,
            num_slots=limits.slots,
            num_holders=limits.holders,
            num_cells=limits.kv_tokens,
            min_copy=limits.min_copy,
            can_cut=model.can_cut_memory,
            window=model.attention_window,
        )
        self._governor = _draft_governor(limits, measured) if limits.max_drafted else None
        prefill = PrefillPolicy(limits.max_batch, limits.max_scores, lambda: self.speed.prefill)
        scheduler = Scheduler(slots, prefill, self._governor)
        self.engine = Engine(
            context,
            scheduler,
            max_queue=limits.max_queue,
            prepare=self._calibrate,
            on_step=self.speed.observe,
            estimate=self.speed.step_seconds,
            name=config.name,
        )
        self.packs = Packs(folder, self.engine, slots, context, self.speed) if folder else None
        self.engine.start()

    @property
    def threads(self) -> Threads:
        return self._context.threads

    @property
    def is_idle(self) -> bool:
        return self.engine.is_idle

    def adopt(self, config: ModelConfig) -> bool:
        """Prompts, stop strings, clean-up and sampling change from one request to the next; all else needs a load.

        Raises ModelUnusable, and goes on as before, if the new prompts cannot be made.
        """
        if what_is_loaded(config) != what_is_loaded(self._behaviour.config):
            return False
        behaviour = behaviour_of(config, self._template, self._model)
        if error := next((problem for problem in behaviour.problems if problem.severity == "error"), None):
            raise ModelUnusable(str(error))
        if self.packs and self._survey(self.packs, behaviour).declared != self.packs.declared:
            return False
        self._behaviour = behaviour
        return True

    def close(self) -> None:
        self.engine.close()
        if self.packs:
            self.packs.close()
        self._context.free()
        self._model.close()

    @property
    def problems(self) -> List[Problem]:
        """What the doctor says of its prompts, and what is wrong with its packs."""
        return [*self._behaviour.problems, *(self.packs.problems if self.packs else ())]

    @property
    def facts(self) -> dict[str, Any]:
        shown = ("context_size", "slots", "kv", "kv_tokens", "default_max_tokens", "max_queue")
        return {name: getattr(self.limits, name) for name in shown}

    def warm(self) -> None:
        """Compute a few tokens, so that weights are paged in and buffers made before the first request; then read back
        what lies in packs."""
        self.engine.compute(self._model.tokenize("Hello", add_special=True, parse_special=False), 2)
        if self.packs:
            with coldstart.phase("pack_restore"):
                self.packs.restore(self._survey(self.packs, self._behaviour))

    def prefixes(self) -> dict[str, list[int]]:
        """The tokens of the config's prefixes by their keys. Raises ConfigFault for one that no prompt begins with."""
        config, limit = self._behaviour.config, self.limits.context_size
        declared, faults = declared_prefixes(config, self._behaviour.prompts, self._model)
        for key, tokens in declared.items():
            if len(tokens) >= limit:
                faults[key] = f"it has {len(tokens)} tokens, and context_size is {limit}: shorten it"
        for key, fault in faults.items():
            raise ConfigFault(config.place, key, fault)
        return declared

    def chat_prompt(self, messages: List[Mapping[str, Any]]) -> Prompt:
        """What the model's templates make of `messages`."""
        behaviour = self._behaviour
        return self._text_prompt(behaviour.prompts.chat(messages), behaviour)

    def completion_prompt(self, text: str) -> Prompt:
        """`text`, through the model's template for completions if it has one."""
        behaviour = self._behaviour
        return self._text_prompt(behaviour.prompts.completion(text), behaviour)

    def edit_prompt(self, text: str, instruction: str) -> Prompt:
        behaviour = self._behaviour
        return self._text_prompt(behaviour.prompts.edit(text, instruction), behaviour)

    def token_prompt(self, tokens: list[int]) -> Prompt:
        """A prompt given as this model's own token ids is taken as it is."""
        self._model.check_tokens(tokens, param="prompt")
        return Prompt(tokens, self._behaviour)

    def submit(
        self,
        prompt: Prompt,
        deliver: Callable[[Update], None],
        *,
        max_tokens: int | None = None,
        stop: List[str] = (),
        ignore_eos: bool | None = None,
        echo: bool | None = None,
        deadline: Deadline | None = None,
        **sampling: Any,
    ) -> Sequence:
        """Queue one completion. Values that are None come from the model's YAML, then from the defaults.

        A `max_tokens` of -1 is as many as the context has room for; `echo` puts the prompt before the text. Raises
        ContextLengthExceeded, InvalidRequest, QueueFull, ShuttingDown, or DeadlineExceeded for a prompt that cannot be
        read in time; nothing is queued then.
        """
        behaviour = prompt.behaviour
        own = behaviour.config.parameters
        echoed = prompt.text if (own.echo if echo is None else echo) else ""
        goes_on = own.ignore_eos if ignore_eos is None else ignore_eos
        cleanup = behaviour.cleanup
        text_filter = cleanup.stream(echo=echoed) if echoed or not cleanup.is_neutral else None
        seq = Sequence(
            prompt.tokens,
            self._max_tokens(len(prompt.tokens), max_tokens, own.max_tokens),
            deliver,
            self._sampling(behaviour.config, sampling),
            frozenset() if goes_on else self._model.end_tokens,
            TextStream([*behaviour.config.stopwords, *stop], text_filter),
            deadline,
            looks_up=self._governor is not None,
        )
        if self.packs and behaviour.config.records_prompts:
            seq.deliver = self.packs.watching(seq)
        if deadline:
            check_in_time(prompt.tokens, deadline, self.engine, self.speed)
        try:
            self.engine.submit(seq)
        except QueueFull as error:
            raise QueueFull(error.message, retry_after=seconds_to_a_place(self.engine, self.speed)) from None
        return seq

    def _survey(self, packs: Packs, behaviour: Behaviour) -> Survey:
        return survey(packs.folder, behaviour.config, behaviour.prompts, self._model)

    def _calibrate(self) -> None:
        """On the engine's thread."""
        if self._governor:
            self._governor.calibrate(self._context)

    def _text_prompt(self, text: str, behaviour: Behaviour) -> Prompt:
        return Prompt(prompt_tokens(text, self._model), behaviour, text)

    def _max_tokens(self, num_prompt: int, asked: int | None, configured: int | None) -> int:
        if not num_prompt:
            raise InvalidRequest("the prompt is empty: send at least one token", param="prompt")
        room = self.limits.context_size - num_prompt
        least = max(asked or 1, 1)
        if room < least:
            raise ContextLengthExceeded(
                f"{self.name} takes {self.limits.context_size} tokens, prompt and completion together; the prompt has "
                f"{num_prompt} and the completion may have {least}: shorten the prompt or lower max_tokens",
                prompt_tokens=num_prompt,
                context_size=self.limits.context_size,
                max_tokens=asked,
            )
        if asked == -1:
            return room
        return asked or min(configured or self.limits.default_max_tokens, room)

    def _sampling(self, config: ModelConfig, asked: Mapping[str, Any]) -> Sampling:
        own = config.parameters.model_dump(include=set(Sampling.__dataclass_fields__), exclude_none=True)
        requested = {name: value for name, value in asked.items() if value is not None}
        sampling = replace(Sampling(), **{**sampling_defaults(config), **own, **requested})
        if not 0 <= sampling.repeat_last_n <= self.limits.context_size:
            sampling = replace(sampling, repeat_last_n=self.limits.context_size)
        self._model.check_tokens([token for token, _ in sampling.logit_bias], param="logit_bias")
        return sampling


def _draft_governor(limits: Limits, measured: MeasuredLimits | None) -> DraftGovernor:
    unified = limits.kv == "unified"
    seconds = measured.step_seconds if measured else None
    cost = StepCost(seconds, unified=unified) if seconds else None
    return DraftGovernor(limits.max_drafted, unified=unified, cost=cost)
