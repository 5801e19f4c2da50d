"""What a model's prompts get wrong, told by rendering a few conversations and reading what comes out.

Nothing is computed: a vocabulary is enough. Every check is a generator of findings; `CHECKS` lists them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from core.config.model import ModelConfig
from core.config.problem import Problem, Severity
from core.errors import CoreError
from core.prompt.prompts import OwnTemplate, Prompts, uses_own_template

SYSTEM, QUESTION, ANSWER, REPLY = "Answer in few words.", "Which river is it?", "It is the Danube.", "How long is it?"
"""Contents of the probes. No one contains another."""

_MARKER = re.compile(r"<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_turn>|</?s>")
"""How models write their control tokens."""


class Vocabulary(Protocol):
    """What the checks ask of a model."""

    @property
    def adds_bos(self) -> bool: ...
    @property
    def bos(self) -> int: ...
    @property
    def end_tokens(self) -> Collection[int]: ...
    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def token_text(self, token: int) -> str: ...


@dataclass(frozen=True)
class Subject:
    """The model under examination."""

    config: ModelConfig
    own: OwnTemplate | None
    vocabulary: Vocabulary

    @cached_property
    def _prompts(self) -> Prompts:
        return Prompts(self.config, self.own)

    def chat(self, *contents: str) -> str:
        """The prompt of user and assistant taking turns, behind a system message if the first content is SYSTEM.

        Raises CoreError as a request would.
        """
        return self._prompts.chat(_conversation(contents))

    def between(self, before: str, after: str, *contents: str) -> str:
        """What the template puts between two contents of a conversation; "" if it drops one of them."""
        _, found, rest = self.chat(*contents).partition(before)
        text, also_found, _ = rest.partition(after) if after else (rest, True, "")
        return text if found and also_found else ""

    def tokens(self, text: str) -> list[int]:
        return self.vocabulary.tokenize(text, add_special=False, parse_special=True)


Finding = str
Check = Callable[[Subject], Iterator[Finding]]


def lint(config: ModelConfig, own: OwnTemplate | None, vocabulary: Vocabulary) -> list[Problem]:
    """Everything that the prompts of a text model get wrong, worst first. `own` is the template in the weights."""
    subject = Subject(config, own, vocabulary)
    try:
        subject.chat(QUESTION)
    except CoreError as error:
        is_base_model = own is None and uses_own_template(config)
        severity: Severity = "warning" if is_base_model else "error"
        return [_problem(config, f"chat has no usable prompt: {error.message}", severity)]
    return [_problem(config, finding, "warning") for check in CHECKS for finding in check(subject)]


def dropped_messages(subject: Subject) -> Iterator[Finding]:
    """Messages that are not in the prompt."""
    contents = {"system": SYSTEM, "user": QUESTION, "assistant": ANSWER}
    try:
        prompt = subject.chat(SYSTEM, QUESTION, ANSWER, REPLY)
    except CoreError as error:
        yield f"a conversation with a system message is refused: {error.message}"
        return
    for role, content in contents.items():
        if content not in prompt:
            yield f"{role} messages are dropped: the prompt does not contain them"


def turns(subject: Subject) -> Iterator[Finding]:
    """A reader of the prompt must be able to tell who speaks, and whose turn it is."""
    cue = subject.between(QUESTION, "", QUESTION)
    before_answer = subject.between(QUESTION, ANSWER, QUESTION, ANSWER, REPLY)
    if not before_answer.strip():
        yield "earlier answers are not told apart from questions: nothing stands between them but white space"
    elif not cue.strip() or (before_answer != cue and before_answer.startswith(cue)):
        missing = before_answer.removeprefix(cue)
        yield f"there is no generation cue: the prompt should end with {missing!r}, so that the model answers"


def end_of_turn(subject: Subject) -> Iterator[Finding]:
    """Generation must end where the answer does: by an end token or a stop string."""
    after = subject.between(ANSWER, REPLY, QUESTION, ANSWER, REPLY)
    if not after.strip() or any(token in subject.vocabulary.end_tokens for token in subject.tokens(after)):
        return
    if any(stop in after for stop in subject.config.stopwords):
        return
    marker = _MARKER.match(after.strip())
    stop = marker.group() if marker else after.strip().splitlines()[0]
    yield (
        f"nothing ends the answer: the next turn begins with {after!r}, in which there is neither an end token nor one "
        f"of the stopwords. Add `stopwords: [{stop!r}]`"
    )


def begin_of_sequence(subject: Subject) -> Iterator[Finding]:
    """Exactly one BOS where the model was trained with one."""

    def begins(prompt: str) -> bool:
        return subject.tokens(prompt)[:1] == [vocabulary.bos]

    vocabulary, prompt = subject.vocabulary, subject.chat(QUESTION)
    bos = vocabulary.token_text(vocabulary.bos)
    if vocabulary.adds_bos and begins(prompt):
        yield f"{bos} is printed by the template and added by the tokenizer: it is sent once here; leave it out"
    is_missing = subject.own is not None and not (vocabulary.adds_bos or begins(prompt))
    if is_missing and subject.own and begins(subject.own.render(_conversation([QUESTION]))):
        yield f"{bos} is missing: the template inside the weights begins with it and this one does not"


def foreign_markers(subject: Subject) -> Iterator[Finding]:
    """Control tokens of another model are only text to this one."""
    prompt = subject.chat(QUESTION, ANSWER, REPLY)
    for marker in sorted(set(_MARKER.findall(prompt))):
        if (count := len(subject.tokens(marker))) > 1:
            yield f"{marker} is not a token of this model, which reads it as {count} pieces of text"


def difference_from_own(subject: Subject) -> Iterator[Finding]:
    """The template in the weights is the one the model was trained with, so a difference should be meant."""
    if subject.own is None or uses_own_template(subject.config):
        return
    contents = (QUESTION, ANSWER, REPLY)
    try:
        theirs = subject.own.render(_conversation(contents))
    except CoreError:
        return
    difference = _difference(subject.tokens(subject.chat(*contents)), subject.tokens(theirs))
    if difference is None:
        return
    ours, theirs = (repr("".join(map(subject.vocabulary.token_text, tokens))) for tokens in difference)
    yield (
        f"the prompt is not that of the template inside the weights: {ours} stands where that has {theirs}. If this is "
        "not meant, say `template: {use_tokenizer_template: true}`"
    )


CHECKS: Sequence[Check] = (
    dropped_messages,
    turns,
    end_of_turn,
    begin_of_sequence,
    foreign_markers,
    difference_from_own,
)


def _problem(config: ModelConfig, message: str, severity: Severity) -> Problem:
    if uses_own_template(config):
        return Problem(str(config.weights), None, "tokenizer.chat_template", message, severity, config.name)
    source = config.templates.get("chat") or config.templates["chat_message"]
    is_file = source.origin.endswith(".tmpl")
    file, key = (source.origin, None) if is_file else (str(config.source), "template.chat")
    return Problem(file, None, key, message, severity, config.name)


def _conversation(contents: Sequence[str]) -> list[Mapping[str, Any]]:
    has_system = contents[0] == SYSTEM
    roles = itertools.chain(["system"] if has_system else [], itertools.cycle(["user", "assistant"]))
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]


def _difference(ours: list[int], theirs: list[int]) -> tuple[list[int], list[int]] | None:
    """Some tokens from where the two part; None if they are the same."""
    for place, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our != their:
            return ours[place : place + 6], theirs[place : place + 6]
    shorter = min(len(ours), len(theirs))
    return None if len(ours) == len(theirs) else (ours[shorter:][:6], theirs[shorter:][:6])
