"""Tokens -> tree: the statements. Follows Go's text/template/parse/parse.go, also in what it refuses and where."""

from __future__ import annotations

from core.prompt.gotemplate.errors import Mistake, TemplateSyntaxError
from core.prompt.gotemplate.expressions import ExpressionParser
from core.prompt.gotemplate.lexer import Kind, Token
from core.prompt.gotemplate.literals import unquote
from core.prompt.gotemplate.nodes import (
    MAIN,
    Action,
    Body,
    Branch,
    Break,
    Call,
    Continue,
    Node,
    Range,
    Text,
    Tree,
)


def parse(source: str) -> Tree:
    """Raises TemplateSyntaxError at the last token that was looked at, as Go does."""
    parser = _Parser(source)
    try:
        return parser.template()
    except Mistake as mistake:
        raise TemplateSyntaxError.at(source, parser.position, str(mistake)) from None


class _Parser(ExpressionParser):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._definitions: dict[str, Body] = {}
        self._range_depth = 0

    def template(self) -> Tree:
        body: list[Node] = []
        while self.peek().kind is not Kind.END:
            if self._at("define"):
                self._definition()
            else:
                body.append(self._statement())
        self._define(MAIN, tuple(body))
        return Tree(self._definitions, frozenset(self.fields))

    def _at(self, *keywords: str) -> bool:
        """Whether an action follows that begins with one of `keywords`."""
        if self.peek().kind is not Kind.LEFT:
            return False
        word = self.peek_word(1)
        return word.kind is Kind.KEYWORD and word.value in keywords

    def _definition(self) -> None:
        self._skip("define")
        name = self._name("define")
        self.expect(Kind.RIGHT, "{{define}}")
        self._define(name, self._separate_body())

    def _define(self, name: str, body: Body) -> None:
        """A definition of white space alone gives way to another."""
        if _is_blank(self._definitions.get(name, ())):
            self._definitions[name] = body
        elif not _is_blank(body):
            raise Mistake(f'the template "{name}" is defined twice')

    def _separate_body(self) -> Body:
        """A body and its `end`, from where neither variables nor ranges around it are seen."""
        around = self.variables, self._range_depth
        self.variables, self._range_depth = ["$"], 0
        body = self._body()
        self._end()
        self.variables, self._range_depth = around
        return body

    def _body(self) -> Body:
        """Statements up to an `else` or `end`, which stays unread."""
        body: list[Node] = []
        while not self._at("else", "end"):
            body.append(self._statement())
        return tuple(body)

    def _skip(self, keyword: str) -> None:
        """Reads `{{keyword`, which is known to follow."""
        self.next()
        word = self.next_word()
        assert word.value == keyword

    def _end(self) -> None:
        if self._at("else"):
            self._skip("else")
            raise self._misplaced("else")
        self._skip("end")
        self.expect(Kind.RIGHT, "{{end}}")

    def _statement(self) -> Node:
        token = self.next()
        if token.kind is Kind.TEXT:
            return Text(token.position, token.value)
        if token.kind is Kind.END:
            raise Mistake("an {{end}} is missing")
        if token.kind is Kind.ERROR:
            raise self.unexpected(token, "the template")
        with self.nested():
            return self._action()

    def _action(self) -> Node:
        word = self.peek_word()
        if word.kind is not Kind.KEYWORD or word.value == "nil":
            return Action(word.position, self.pipeline("action", Kind.RIGHT))
        self.next_word()
        match word.value:
            case "if" | "with":
                return self._branch(word.value)
            case "range":
                return self._range()
            case "block" | "template":
                return self._call(word)
            case "break" | "continue":
                return self._jump(word)
        raise self._misplaced(word.value)

    def _misplaced(self, keyword: str) -> Mistake:
        """Go reads an `else` or `end` to its delimiter before it finds that it opens or closes nothing."""
        if keyword != "define":
            self.expect(Kind.RIGHT, f"{{{{{keyword}}}}}")
        return Mistake(f"{{{{{keyword}}}}} has no place here")

    def _branch(self, keyword: str) -> Branch:
        outer = len(self.variables)
        arms = [(self.pipeline(keyword, Kind.RIGHT), self._body())]
        otherwise: Body = ()
        while self._at("else"):
            self._skip("else")
            word = self.peek_word()
            if word.kind is Kind.KEYWORD and word.value == keyword:
                self.next_word()
                arms.append((self.pipeline(keyword, Kind.RIGHT), self._body()))
            else:
                otherwise = self._otherwise()
                break
        self._end()
        del self.variables[outer:]
        return Branch(arms[0][0].position, tuple(arms), otherwise, rebinds_dot=keyword == "with")

    def _otherwise(self) -> Body:
        self.expect(Kind.RIGHT, "{{else}}")
        return self._body()

    def _range(self) -> Range:
        outer = len(self.variables)
        pipeline = self.pipeline("range", Kind.RIGHT)
        self._range_depth += 1
        body = self._body()
        self._range_depth -= 1
        otherwise: Body = ()
        if self._at("else"):
            self._skip("else")
            otherwise = self._otherwise()
        self._end()
        del self.variables[outer:]
        return Range(pipeline.position, pipeline, body, otherwise)

    def _call(self, word: Token) -> Call:
        """`template "name" value`, or `block "name" value` with the definition of that name."""
        position, context = self.peek_word().position, word.value
        name = self._name(context)
        if context == "template" and self.peek_word().kind is Kind.RIGHT:
            self.next_word()
            return Call(position, name, None)
        pipeline = self.pipeline(context, Kind.RIGHT)
        if context == "block":
            self._define(name, self._separate_body())
        return Call(position, name, pipeline)

    def _name(self, context: str) -> str:
        return unquote(self.expect(Kind.STRING, f"{{{{{context}}}}}, where a quoted name belongs").value)

    def _jump(self, word: Token) -> Break | Continue:
        self.expect(Kind.RIGHT, f"{{{{{word.value}}}}}")
        if not self._range_depth:
            raise Mistake(f"{{{{{word.value}}}}} outside of a range")
        return Break(word.position) if word.value == "break" else Continue(word.position)


def _is_blank(body: Body) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in body)
