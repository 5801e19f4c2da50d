"""Checks of a chat prompt: all that was said is in it, turns are told apart, the model can begin and end its own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.errors import CoreError
from core.prompt.lint.subject import ANSWER, QUESTION, REPLY, SYSTEM, Check, Finding, Subject
from core.prompt.prompts import uses_own_template

_MARKER = re.compile(r"<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_turn>|</?s>")
"""How models write their control tokens."""


def dropped_messages(subject: Subject) -> Iterator[Finding]:
    """Messages that are not in the prompt."""
    contents = {"system": SYSTEM, "user": QUESTION, "assistant": ANSWER}
    try:
        prompt = subject.chat(SYSTEM, QUESTION, ANSWER, REPLY)
    except CoreError as error:
        refused = Finding.refused(error, severity="warning")
        yield replace(refused, message=f"a conversation with a system message is refused: {refused.message}")
        return
    for role, content in contents.items():
        if content not in prompt:
            yield Finding(f"{role} messages are dropped: the prompt does not contain them")


def turns(subject: Subject) -> Iterator[Finding]:
    """A reader of the prompt must be able to tell who speaks, and whose turn it is."""
    cue = subject.between(QUESTION, "", QUESTION)
    before_answer = subject.between(QUESTION, ANSWER, QUESTION, ANSWER, REPLY)
    missing = before_answer.removeprefix(cue) if before_answer.startswith(cue) else ""
    if not before_answer.strip():
        yield Finding("earlier answers are not told apart from questions: nothing stands between them but white space")
    elif missing.strip() or not cue.strip():
        yield Finding(f"there is no generation cue: the prompt should end with {missing!r}, so that the model answers")


def end_of_turn(subject: Subject) -> Iterator[Finding]:
    """Generation must end where the answer does: by an end token or a stop string."""
    after = subject.between(ANSWER, REPLY, QUESTION, ANSWER, REPLY)
    if not after.strip() or any(token in subject.vocabulary.end_tokens for token in subject.tokens(after)):
        return
    if any(stop in after for stop in subject.config.stopwords):
        return
    marker = _MARKER.match(after.strip())
    stop = marker.group() if marker else after.strip().splitlines()[0]
    yield Finding(
        f"nothing ends the answer: the next turn begins with {after!r}, in which there is neither an end token nor one "
        f"of the stopwords. Add `stopwords: [{stop!r}]`"
    )


def begin_of_sequence(subject: Subject) -> Iterator[Finding]:
    """Exactly one BOS where the model was trained with one."""
    vocabulary = subject.vocabulary
    bos = vocabulary.token_text(vocabulary.bos)
    begins, theirs_begins = _begins(subject, subject.chat(QUESTION)), _begins(subject, subject.own_chat(QUESTION))
    if vocabulary.adds_bos and begins:
        yield Finding(f"{bos} is printed by the template and added by the tokenizer: leave it out (it is sent once)")
    elif theirs_begins and not begins and not vocabulary.adds_bos:
        yield Finding(f"{bos} is missing: the template inside the weights begins with it and this one does not")


def foreign_markers(subject: Subject) -> Iterator[Finding]:
    """Control tokens of another model are only text to this one."""
    prompt = subject.chat(QUESTION, ANSWER, REPLY)
    for marker in sorted(set(_MARKER.findall(prompt))):
        if (count := len(subject.tokens(marker))) > 1:
            yield Finding(f"{marker} is not a token of this model, which reads it as {count} pieces of text")


def difference_from_own(subject: Subject) -> Iterator[Finding]:
    """The template in the weights is the one the model was trained with, so a difference should be meant."""
    prompts = None if uses_own_template(subject.config) else _comparable_prompts(subject)
    if prompts is None:
        return
    if difference := _difference(*map(subject.tokens, prompts)):
        our, their = (repr("".join(map(subject.vocabulary.token_text, tokens))) for tokens in difference)
        yield Finding(
            f"the prompt is not that of the template inside the weights: {our} stands where that has {their}. If this "
            "is not meant, say `template: {use_tokenizer_template: true}`"
        )


CHAT_CHECKS: Sequence[Check] = (
    dropped_messages,
    turns,
    end_of_turn,
    begin_of_sequence,
    foreign_markers,
    difference_from_own,
)


def _begins(subject: Subject, prompt: str | None) -> bool:
    return prompt is not None and subject.tokens(prompt)[:1] == [subject.vocabulary.bos]


def _comparable_prompts(subject: Subject) -> tuple[str, str] | None:
    """One conversation by the config's templates and by that in the weights; None if that cannot make it.

    With a system message where both print it: without one, many weights' templates print a text of their own.
    """
    contents = (QUESTION, ANSWER, REPLY)
    theirs = subject.own_chat(SYSTEM, *contents)
    if theirs and SYSTEM in theirs:
        with contextlib.suppress(CoreError):
            if SYSTEM in (ours := subject.chat(SYSTEM, *contents)):
                return ours, theirs
    theirs = subject.own_chat(*contents)
    return None if theirs is None else (subject.chat(*contents), theirs)


def _difference(ours: list[int], theirs: list[int]) -> tuple[list[int], list[int]] | None:
    """Some tokens from where the two part; None if they are the same."""
    for place, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if our != their:
            return ours[place : place + 6], theirs[place : place + 6]
    shorter = min(len(ours), len(theirs))
    return None if len(ours) == len(theirs) else (ours[shorter:][:6], theirs[shorter:][:6])
