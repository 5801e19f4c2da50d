"""A rewrite of the parsed template that makes loops, `~` and literals, for which jinja2 has no hook, cost something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from core.prompt.budget import budget

# Names with a blank cannot be written in a template.
_COUNTED = "counted iteration"
_CONCATENATED = "concatenated text"
_WEIGHED = "weighed literal"


class Meter(NodeTransformer):
    """Passes each through one of METERING_FILTERS. Call `set_environment` on the tree afterwards: nodes are new."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        literal_text = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        node.iter = _filtered(node.iter, _COUNTED, nodes.Const(literal_text))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _CONCATENATED)

    def visit_List(self, node: nodes.List) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(node, _WEIGHED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(node, _WEIGHED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return node if node.ctx == "store" else _filtered(node, _WEIGHED)


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


# A context function is never evaluated at compile time, so that no half-read iterator ends up in the code.
@pass_context
def _counted(context: Context, values: Iterable[Any], literal_text: int) -> Iterator[Any]:
    for value in values:
        budget().spend_step()
        budget().spend_text(literal_text)
        yield value


def _concatenated(values: list[Any]) -> str:
    budget().spend_values(*values)
    return "".join(str(value) for value in values)


def weighed(values: Any) -> Any:
    """Lists within lists, each held twice, compare in exponential time: they cost what they would be written out."""
    budget().spend_values(values)
    return values


METERING_FILTERS = {_COUNTED: _counted, _CONCATENATED: _concatenated, _WEIGHED: weighed}
