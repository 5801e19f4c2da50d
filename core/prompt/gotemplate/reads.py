"""Which fields of its data a template reads, told without rendering it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.prompt.gotemplate.nodes import MAIN, Action, Body, Branch, Call, Chain, Dot, Field, Pipeline, Range, Variable


@dataclass(frozen=True)
class FieldRead:
    """`always` is whether every rendering comes to it; `position` is its place in the source."""

    name: str
    position: int
    always: bool


def root_reads(definitions: Mapping[str, Body]) -> list[FieldRead]:
    """What is read from the template's own data, by dot or by `$`, in the order of the source.

    Not what is read from the items of a range or the value of a `with`: of those nothing is known here.
    """
    return list(_Reads(definitions).of(definitions[MAIN], dot_is_root=True, always=True))


class _Reads:
    def __init__(self, definitions: Mapping[str, Body]) -> None:
        self._definitions = definitions
        self._called: set[str] = set()

    def of(self, body: Body, *, dot_is_root: bool, always: bool) -> Iterator[FieldRead]:
        for node in body:
            match node:
                case Action():
                    yield from _in_pipeline(node.pipeline, dot_is_root, always)
                case Branch():
                    yield from self._of_branch(node, dot_is_root, always)
                case Range():
                    yield from _in_pipeline(node.pipeline, dot_is_root, always)
                    yield from self.of(node.body, dot_is_root=False, always=False)
                    yield from self.of(node.otherwise, dot_is_root=dot_is_root, always=False)
                case Call():
                    yield from self._of_call(node, dot_is_root, always)

    def _of_branch(self, node: Branch, dot_is_root: bool, always: bool) -> Iterator[FieldRead]:
        for index, (pipeline, body) in enumerate(node.arms):
            yield from _in_pipeline(pipeline, dot_is_root, always and index == 0)
            is_root = _is_root(pipeline, dot_is_root) if node.rebinds_dot else dot_is_root
            yield from self.of(body, dot_is_root=is_root, always=False)
        yield from self.of(node.otherwise, dot_is_root=dot_is_root, always=False)

    def _of_call(self, node: Call, dot_is_root: bool, always: bool) -> Iterator[FieldRead]:
        if node.pipeline is None:
            return
        yield from _in_pipeline(node.pipeline, dot_is_root, always)
        if _is_root(node.pipeline, dot_is_root) and node.name in self._definitions and node.name not in self._called:
            self._called.add(node.name)
            yield from self.of(self._definitions[node.name], dot_is_root=True, always=always)


def _in_pipeline(pipeline: Pipeline, dot_is_root: bool, always: bool) -> Iterator[FieldRead]:
    for operand in (operand for command in pipeline.commands for operand in command.operands):
        match operand:
            case Field() if dot_is_root:
                yield FieldRead(operand.names[0], operand.position, always)
            case Variable(name="$") if operand.fields:
                yield FieldRead(operand.fields[0], operand.position, always)
            case Pipeline():
                yield from _in_pipeline(operand, dot_is_root, always)
            case Chain(operand=Pipeline() as inner):
                yield from _in_pipeline(inner, dot_is_root, always)


def _is_root(pipeline: Pipeline, dot_is_root: bool) -> bool:
    """Whether the pipeline is the template's own data and nothing else."""
    operands = [operand for command in pipeline.commands for operand in command.operands]
    match operands:
        case [Dot()]:
            return dot_is_root
        case [Variable(name="$", fields=())]:
            return True
    return False
