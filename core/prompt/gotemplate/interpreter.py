"""Runs a parsed template's statements, as Go's text/template/exec.go walks its tree.

An interpreter that knows only the template's data and its own functions has nothing to sandbox, and truth, scopes and
printing are Go's and not another template language's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.prompt.budget import budget
from core.prompt.gotemplate.errors import Mistake
from core.prompt.gotemplate.evaluator import Evaluator
from core.prompt.gotemplate.nodes import Action, Body, Branch, Break, Call, Continue, Range, Text
from core.prompt.gotemplate.printing import shown
from core.prompt.gotemplate.values import MISSING, is_true, type_name

MAX_CALL_DEPTH = 50
"""Of templates that call templates."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Interpreter(Evaluator):
    """One rendering. After an exception `position` is where in the source it happened."""

    def __init__(self, definitions: Mapping[str, Body]) -> None:
        super().__init__()
        self._definitions = definitions
        self._output: list[str] = []
        self._depth = 0

    def render(self, name: str, root: Any) -> str:
        self._run_definition(name, root)
        return "".join(self._output)

    def _run_definition(self, name: str, root: Any) -> None:
        with self.root_scope(root):
            self._run(self._definitions[name], root)

    def _run(self, body: Body, dot: Any) -> None:
        for node in body:
            self.position = node.position
            _STATEMENTS[type(node)](self, node, dot)

    def _run_text(self, node: Text, dot: Any) -> None:
        self._write(node.text)

    def _write(self, text: str) -> None:
        budget().spend_text(len(text))
        self._output.append(text)

    def _run_action(self, node: Action, dot: Any) -> None:
        value = self.pipeline(node.pipeline, dot)
        if not node.pipeline.variables:
            self._write(shown(value))

    def _run_branch(self, node: Branch, dot: Any) -> None:
        with self.scope():
            for pipeline, body in node.arms:
                value = self.pipeline(pipeline, dot)
                if is_true(value):
                    return self._run(body, value if node.rebinds_dot else dot)
            self._run(node.otherwise, dot)

    def _run_range(self, node: Range, dot: Any) -> None:
        names = node.pipeline.variables
        with self.scope():
            items = _items(self.pipeline(node.pipeline, dot), len(names))
            is_empty = True
            for key, item in items:
                is_empty = False
                budget().spend_step()
                for name, value in zip(names, (item,) if len(names) < 2 else (key, item), strict=False):
                    self.assign(name, value)
                try:
                    with self.scope():
                        self._run(node.body, item)
                except _Continue:
                    continue
                except _Break:
                    break
            if is_empty:
                self._run(node.otherwise, dot)

    def _run_template(self, node: Call, dot: Any) -> None:
        if node.name not in self._definitions:
            raise Mistake(f'there is no template "{node.name}"')
        if self._depth == MAX_CALL_DEPTH:
            raise Mistake(f"more than {MAX_CALL_DEPTH} templates call each other")
        budget().spend_step()
        argument = MISSING if node.pipeline is None else self.pipeline(node.pipeline, dot)
        self._depth += 1
        self._run_definition(node.name, argument)
        self._depth -= 1

    def _run_break(self, node: Break, dot: Any) -> None:
        raise _Break

    def _run_continue(self, node: Continue, dot: Any) -> None:
        raise _Continue


def _items(value: Any, num_variables: int) -> Iterator[tuple[Any, Any]]:
    if value is MISSING:
        return iter(())
    if isinstance(value, list):
        return iter(enumerate(value))
    if isinstance(value, dict):
        return iter(sorted(value.items()))
    if isinstance(value, int) and not isinstance(value, bool) and num_variables < 2:
        return ((number, number) for number in range(value))
    raise Mistake(f"{{{{range}}}} cannot go through {type_name(value)} with {num_variables} variables")


_STATEMENTS: Mapping[type, Callable[[Interpreter, Any, Any], None]] = {
    Action: Interpreter._run_action,
    Branch: Interpreter._run_branch,
    Break: Interpreter._run_break,
    Call: Interpreter._run_template,
    Continue: Interpreter._run_continue,
    Range: Interpreter._run_range,
    Text: Interpreter._run_text,
}
