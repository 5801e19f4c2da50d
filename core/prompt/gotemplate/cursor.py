"""Reading tokens one after the other, with the look-ahead that Go's grammar needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.lexer import Kind, Token, tokens

MAX_NESTING = 50
"""Of parentheses and blocks together; what is nested deeper could not be evaluated within Python's stack."""


class Cursor:
    def __init__(self, source: str) -> None:
        self._tokens = tokens(source)
        self._ahead: deque[Token] = deque()
        self._nesting = 0
        self.position = 0
        """Where the last token begins that was looked at: the place of a mistake."""

    def peek(self, offset: int = 0) -> Token:
        while len(self._ahead) <= offset:
            token = next(self._tokens)
            self.position = token.position
            self._ahead.append(token)
        return self._ahead[offset]

    def next(self) -> Token:
        token = self.peek()
        if token.kind not in (Kind.END, Kind.ERROR):
            self._ahead.popleft()
        return token

    def peek_word(self, offset: int = 0) -> Token:
        """The first token from `offset` on that is no SPACE."""
        while self.peek(offset).kind is Kind.SPACE:
            offset += 1
        return self.peek(offset)

    def next_word(self) -> Token:
        while self.peek().kind is Kind.SPACE:
            self.next()
        return self.next()

    def expect(self, kind: Kind, context: str) -> Token:
        token = self.next_word()
        if token.kind is not kind:
            raise self.unexpected(token, context)
        return token

    def unexpected(self, token: Token, context: str) -> Mistake:
        if token.kind is Kind.ERROR:
            return Mistake(token.value)
        if token.kind is Kind.END:
            return Mistake("the template ends too early")
        return Mistake(f"{token.value!r} is unexpected in {context}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise Mistake(f"more than {MAX_NESTING} levels of blocks and parentheses")
        yield
        self._nesting -= 1
