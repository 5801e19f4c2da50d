"""Checks of the templates beside chat: those with routes of their own, that for tools, and the fields they all use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.config.templates import TemplateKind
from core.errors import CoreError
from core.prompt.gotemplate import GoTemplate
from core.prompt.lint.subject import ANSWER, QUESTION, SYSTEM, Check, Finding, Subject, conversation
from core.prompt.localai import LocalAIPrompts

_TOOL: dict[str, Any] = {
    "name": "water_level",
    "description": "How high a river stands",
    "parameters": {"type": "object"},
}
_FIELDS_OF_TOOLS = {"Name", "Description", "Strict", "Parameters", "ID", "Index", "Type", "FunctionCall", "Arguments"}


def routes_of_their_own(subject: Subject) -> Iterator[Finding]:
    """Templates for completions and edits must print what they are given."""
    prompts = subject.prompts
    probes: dict[TemplateKind, tuple[Callable[[], str], Sequence[str]]] = {
        "completion": (lambda: prompts.completion(QUESTION), [QUESTION]),
        "edit": (lambda: prompts.edit(ANSWER, SYSTEM), [ANSWER, SYSTEM]),
    }
    for kind, (render, contents) in probes.items():
        source = subject.config.templates.get(kind)
        if source is None or source.problem:
            continue
        try:
            prompt = render()
        except CoreError as error:
            yield Finding.refused(error, kind)
        else:
            if not all(content in prompt for content in contents):
                yield Finding("it does not print all it is given ({{.Input}}, for edits {{.Instruction}})", kind)


def ignored_tools(subject: Subject) -> Iterator[Finding]:
    """A template for tools must show them."""
    source = subject.config.templates.get("function")
    if source is None or source.problem:
        return
    try:
        prompt = LocalAIPrompts(subject.config).chat(conversation([QUESTION]), [_TOOL], use_functions=True)
    except CoreError as error:
        yield Finding.refused(error, "function")
        return
    if _TOOL["name"] not in prompt:
        yield Finding("the prompt does not name the tools: print {{.Functions}} or their fields", "function")
    if QUESTION not in prompt:
        yield Finding("the prompt does not contain the messages: print {{.Input}}", "function")


def unknown_fields(subject: Subject) -> Iterator[Finding]:
    """A field that LocalAI does not offer fails as soon as the template comes to it.

    The folder's reader judges those of the template's own data. Elsewhere dot may be a map, which has keys of any name;
    but the fields of LocalAI's objects begin with a capital.
    """
    for kind, source in subject.config.templates.items():
        if source.problem or kind == "multimodal":
            continue
        template = GoTemplate(source.text)
        judged = {read.name for read in template.root_reads()} | _FIELDS_OF_TOOLS
        for field in sorted(template.fields - judged):
            if field[:1].isupper():
                names = ", ".join(f".{name}" for name in sorted(_FIELDS_OF_TOOLS))
                yield Finding(f"there is no .{field} here: tools and calls have {names}", kind)


TEMPLATE_CHECKS: Sequence[Check] = (routes_of_their_own, ignored_tools, unknown_fields)
