"""Tokens -> tree: what stands within one pair of delimiters, `$x := .A | f "text" (g .B).C`."""

from __future__ import annotations

from core.prompt.gotemplate.cursor import Cursor
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.functions import FUNCTIONS, NOT_OFFERED
from core.prompt.gotemplate.lexer import Kind, Token
from core.prompt.gotemplate.literals import character, number, unquote
from core.prompt.gotemplate.nodes import (
    Chain,
    Command,
    Constant,
    Dot,
    Field,
    FunctionName,
    Nil,
    Number,
    Operand,
    Pipeline,
    Variable,
)

_OPERAND_KINDS = {
    Kind.BOOL,
    Kind.CHARACTER,
    Kind.DOT,
    Kind.FIELD,
    Kind.NUMBER,
    Kind.OPEN,
    Kind.STRING,
    Kind.VARIABLE,
    Kind.WORD,
}


class ExpressionParser(Cursor):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.variables = ["$"]
        """Those that are visible at this point."""
        self.fields: set[str] = set()
        """Names of all fields read so far from dot or `$`."""

    def pipeline(self, context: str, end: Kind) -> Pipeline:
        """Reads `end` as well."""
        position = self.peek_word().position
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while (token := self.peek_word()).kind is not end:
            if not _is_operand(token):
                raise self.unexpected(token, f"{{{{{context}}}}}")
            commands.append(self._command())
        self.next_word()
        if not commands:
            raise Mistake(f"{{{{{context}}}}} has no value")
        if any(isinstance(command.operands[0], Constant | Dot | Nil | Number) for command in commands[1:]):
            raise Mistake("a constant or '.' cannot receive what comes before its '|'")
        return Pipeline(position, tuple(commands), variables, assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """`$x :=`, `$x =` or, in a range, `$k, $v :=`; else nothing is read."""
        names: list[str] = []
        while self.peek_word().kind is Kind.VARIABLE:
            name = self.peek_word().value
            following = self._after_variable()
            if following.kind not in (Kind.ASSIGN, Kind.DECLARE) and following.value != ",":
                break
            self.next_word()
            self.next_word()
            names.append(name)
            self.variables.append(name)
            if following.value != ",":
                return tuple(names), following.kind is Kind.ASSIGN
            if context != "range" or len(names) > 1:
                raise Mistake("only {{range}} declares two variables")
        if names and self.peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
            raise Mistake("{{range}} can only declare variables")
        return tuple(names), False

    def _after_variable(self) -> Token:
        offset = 0
        while self.peek(offset).kind is Kind.SPACE:
            offset += 1
        return self.peek_word(offset + 1)

    def _command(self) -> Command:
        position = self.peek_word().position
        operands: list[Operand] = []
        while _is_operand(self.peek_word()):
            operands.append(self._operand())
            if self.peek().kind is not Kind.SPACE:
                break
        token = self.peek_word()
        if token.kind is Kind.PIPE:
            self.next_word()
        elif token.kind not in (Kind.RIGHT, Kind.CLOSE):
            raise self.unexpected(token, "a command")
        return Command(position, tuple(operands))

    def _operand(self) -> Operand:
        operand = self._term(self.next_word())
        position, names = self.peek().position, []
        while self.peek().kind is Kind.FIELD:
            names.append(self.next().value[1:])
        if not names:
            return operand
        match operand:
            case Field():
                return Field(position, operand.names + tuple(names))
            case Variable():
                if operand.name == "$":
                    self.fields.add(names[0])
                return Variable(position, operand.name, tuple(names))
            case FunctionName() | Pipeline():
                return Chain(position, operand, tuple(names))
        raise Mistake(f"a constant has no field .{names[0]}")

    def _term(self, token: Token) -> Operand:
        kind, value, position = token
        if kind is Kind.WORD:
            if value in NOT_OFFERED:
                raise Mistake(f'the function "{value}" is not supported here')
            if value not in FUNCTIONS:
                raise Mistake(f'there is no function "{value}"')
            return FunctionName(position, value)
        if kind is Kind.FIELD:
            self.fields.add(value[1:])
            return Field(position, (value[1:],))
        if kind is Kind.VARIABLE:
            if value not in self.variables:
                raise Mistake(f"the variable {value} is not declared")
            return Variable(position, value, ())
        if kind is Kind.OPEN:
            with self.nested():
                return self.pipeline("parentheses", Kind.CLOSE)
        return _simple_term(token)


def _is_operand(token: Token) -> bool:
    return token.kind in _OPERAND_KINDS or (token.kind is Kind.KEYWORD and token.value == "nil")


def _simple_term(token: Token) -> Operand:
    kind, value, position = token
    if kind is Kind.STRING:
        return Constant(position, unquote(value))
    if kind is Kind.BOOL:
        return Constant(position, value == "true")
    if kind is Kind.CHARACTER:
        code = character(value)
        return Number(position, code, code)
    if kind is Kind.NUMBER:
        return Number(position, *number(value))
    return Dot(position) if kind is Kind.DOT else Nil(position)
