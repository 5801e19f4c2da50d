"""What a server does with more than fits: refuse it, or quietly do something else.

A prompt is longer than the context and says a password in its first words: a server that cuts from the front answers
200, counts fewer tokens than were sent and does not know the password. Then the longest text that was read, whose
tokens are known and which the server may still keep, is to be continued beyond the context: a server that clamps
answers 200 with less.
"""

from __future__ import annotations

from bench.context.parts import AnswerFate, OverflowPart, OverlongAnswer, OverlongPrompt, PromptFate
from bench.context.reader import Reader
from bench.context.server import Answer

TOO_LONG = 1.1
"""Times the context."""
CUT = 0.95
"""A prompt of which the server counts less than this part was cut: the estimate of its length is closer."""
BEYOND = 64
"""Tokens by which the answer that is asked for goes beyond the context."""
PASSWORD_TOKENS = 16
CONTROL_SENTENCES = 10


async def probe_overflow(reader: Reader, limit: int, password: str) -> OverflowPart:
    """After texts were timed. `limit` is the context in tokens, `password` a number that no text holds."""
    return OverflowPart(
        prompt=await _overlong_prompt(reader, int(limit * TOO_LONG) + BEYOND, password),
        answer=await _overlong_answer(reader, limit),
    )


async def _overlong_prompt(reader: Reader, tokens: int, password: str) -> OverlongPrompt:
    long = reader.plain(reader.ruler.sentences(tokens, facts=False))
    control = await reader.ask(_with_password(reader.plain(CONTROL_SENTENCES), password), PASSWORD_TOKENS)
    answer = await reader.ask(_with_password(long, password), PASSWORD_TOKENS)
    knows = password in answer.text if answer.ok else None
    return OverlongPrompt(
        behaviour=_of_prompt(answer, tokens, knew=password in control.text, knows=knows),
        sent_tokens=tokens,
        status=answer.status,
        code=answer.code,
        counted_tokens=answer.prompt_tokens,
        canary_known=knows,
        canary_known_when_short=password in control.text,
        notices=list(answer.notices),
        message=answer.message,
    )


def _with_password(text: str, password: str) -> str:
    question = "What is the password that was said at the very beginning? Answer with the password only."
    return f"The password is {password}. {text}\n\nQuestion: {question}"


def _of_prompt(answer: Answer, tokens: int, *, knew: bool, knows: bool | None) -> PromptFate:
    if not answer.ok:
        return "refused" if 400 <= answer.status < 500 else "failed"
    if answer.prompt_tokens is not None:
        return "truncated" if answer.prompt_tokens < CUT * tokens else "accepted"
    return "truncated" if knew and not knows else "accepted"


async def _overlong_answer(reader: Reader, limit: int) -> OverlongAnswer:
    prompt, tokens = reader.longest
    wanted = limit - tokens + BEYOND
    answer = await reader.ask_at_length(prompt, wanted)
    return OverlongAnswer(
        behaviour=_of_answer(answer, wanted),
        prompt_tokens=tokens,
        max_tokens=wanted,
        status=answer.status,
        code=answer.code,
        completion_tokens=answer.completion_tokens,
        finish=answer.finish,
        notices=list(answer.notices),
        message=answer.message,
    )


def _of_answer(answer: Answer, wanted: int) -> AnswerFate:
    if not answer.ok:
        return "refused" if 400 <= answer.status < 500 else "failed"
    if (answer.completion_tokens or 0) >= wanted:
        return "unclamped"
    return "clamped" if answer.finish == "length" else "ended"
