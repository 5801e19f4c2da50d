"""Checks of the templates beside chat: those with routes of their own, that for tools, and the fields they all use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.config.templates import TemplateKind
from core.errors import CoreError
from core.prompt.gotemplate import GoTemplate
from core.prompt.lint.subject import ANSWER, QUESTION, SYSTEM, Check, Finding, Subject, conversation
from core.prompt.localai import MESSAGE_FIELDS, PROMPT_FIELDS, LocalAIPrompts

_TOOL: dict[str, Any] = {
    "name": "water_level",
    "description": "How high a river stands",
    "parameters": {"type": "object"},
}
_FIELDS_OF_TOOLS = {"Name", "Description", "Strict", "Parameters", "ID", "Index", "Type", "Arguments"}


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
            yield Finding(error.message, kind, "error")
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
        yield Finding(error.message, "function", "error")
        return
    if _TOOL["name"] not in prompt:
        yield Finding("the prompt does not name the tools: print {{.Functions}} or their fields", "function")
    if QUESTION not in prompt:
        yield Finding("the prompt does not contain the messages: print {{.Input}}", "function")


def unknown_fields(subject: Subject) -> Iterator[Finding]:
    """A field that LocalAI does not offer fails as soon as the template comes to it."""
    for kind, source in subject.config.templates.items():
        if source.problem or kind == "multimodal":
            continue
        offered = MESSAGE_FIELDS if kind == "chat_message" else set(PROMPT_FIELDS)
        # Maps have keys of any name; those of LocalAI's own objects begin with a capital.
        used = {field for field in GoTemplate(source.text).fields if field[:1].isupper()}
        for field in sorted(used - offered - _FIELDS_OF_TOOLS):
            names = ", ".join(f".{name}" for name in sorted(offered))
            yield Finding(f"there is no .{field} here: there are {names}", kind)


TEMPLATE_CHECKS: Sequence[Check] = (routes_of_their_own, ignored_tools, unknown_fields)
