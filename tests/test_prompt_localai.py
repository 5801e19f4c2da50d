"""Whole prompts as LocalAI builds them: our own cases, and those of the oracle where it is present."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from core.config.model import ModelConfig
from core.config.templates import TemplateKind, TemplateSource
from core.errors import ModelUnusable
from core.prompt.localai import LocalAIPrompts

CASES_FILE = Path(__file__).parents[2] / "shared/localai/conversations.jsonl"


def config(templates: Mapping[str, str] | None = None, **values: Any) -> ModelConfig:
    kinds = {kind for kind in get_args(TemplateKind) if (templates or {}).get(kind)}
    sources = {kind: TemplateSource((templates or {})[kind], f"model.yaml: template.{kind}") for kind in kinds}
    return ModelConfig(name="m", root=Path("/nowhere"), templates=sources, **values)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_without_templates_messages_are_joined_behind_their_roles_prefixes() -> None:
    roles = {"user": "USER:", "system": "SYSTEM:"}
    messages = [{"role": "system", "content": "Be brief."}, user("Hi"), {"role": "assistant", "content": "Hello"}]
    assert LocalAIPrompts(config(roles=roles)).chat(messages) == "SYSTEM:Be brief.\nUSER:Hi\nHello"


def test_the_chat_template_wraps_the_joined_messages() -> None:
    chat = "{{.SystemPrompt}}|{{.Input}}|"
    assert LocalAIPrompts(config({"chat": chat}, system_prompt="S")).chat([user("a"), user("b")]) == "S|a\nb|"


def test_messages_may_be_joined_by_nothing() -> None:
    template = {"join_chat_messages_by_character": ""}
    assert LocalAIPrompts(config(template=template)).chat([user("a"), user("b")]) == "ab"


def test_each_message_goes_through_its_template() -> None:
    message = "<{{.RoleName}} {{.Role}}{{.MessageIndex}}{{if .LastMessage}} last{{end}}>{{.Content}}"
    built = LocalAIPrompts(config({"chat_message": message}, roles={"user": "U"})).chat([user("a"), user("b")])
    assert built == "<user U0>a\n<user U1 last>b"


def test_a_message_for_which_the_template_prints_nothing_is_dropped() -> None:
    message = '{{if eq .RoleName "user"}}{{.Content}}{{end}}'
    built = LocalAIPrompts(config({"chat_message": message})).chat(
        [user("a"), {"role": "tool", "content": "x"}, user("b")]
    )
    assert built == "a\nb"


def test_a_plain_system_message_suppresses_the_configs_own() -> None:
    chat = "{{if not .SuppressSystemPrompt}}{{.SystemPrompt}} {{end}}{{.Input}}"
    own = config({"chat": chat}, system_prompt="own")
    assert LocalAIPrompts(own).chat([user("a")]) == "own a"
    assert LocalAIPrompts(own).chat([{"role": "system", "content": "theirs"}, user("a")]) == "theirs\na"


def test_an_assistants_call_is_written_as_gos_json() -> None:
    call = {"name": "f", "arguments": '{"a":"<&>"}'}
    messages = [{"role": "assistant", "content": None, "function_call": call}]
    roles = {"assistant": "A:", "assistant_function_call": "CALL:"}
    written = '{"arguments":"{\\"a\\":\\"\\u003c\\u0026\\u003e\\"}","name":"f"}'
    assert LocalAIPrompts(config(roles=roles)).chat(messages) == f"CALL: {written}"


def test_functions_are_shown_by_the_template_for_functions() -> None:
    templates = {"function": "{{range .Functions}}{{.Name}} {{end}}{{.Input}}", "chat": "{{.Input}}"}
    functions = [{"name": "f", "description": "", "parameters": {}}]
    assert LocalAIPrompts(config(templates)).chat([user("a")], functions, use_functions=True) == "f a"
    assert LocalAIPrompts(config(templates)).chat([user("a")], functions) == "a"


def test_media_get_placeholders_numbered_through_the_conversation() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    text = {"type": "text", "text": "what?"}
    media = "{{range .Images}}[img-{{.ID}}]{{end}}{{.Text}}"
    messages = [user([image, text]), user([text, image, image])]
    assert LocalAIPrompts(config({"multimodal": media})).chat(messages) == "[img-0]what?\n[img-1][img-2]what?"
    assert LocalAIPrompts(config()).chat(messages) == "<__media__>what?\n<__media__><__media__>what?"


BROKEN = {
    "does not parse": TemplateSource("{{.Input", "chat.tmpl"),
    "has no such field": TemplateSource("{{.System}}{{.Input}}", "chat.tmpl"),
    "is missing": TemplateSource("chatml", "m.yaml: template.chat", "there is no file chatml.tmpl"),
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=list(BROKEN))
def test_a_template_that_cannot_be_used_is_an_error_that_names_it(source: TemplateSource) -> None:
    broken = config().model_copy(update={"templates": {"chat": source}})
    with pytest.raises(ModelUnusable) as error:
        LocalAIPrompts(broken).chat([user("hi")])
    assert source.origin in error.value.message


def test_strict_goes_on_without_a_template_that_fails_as_localai_does() -> None:
    def strict(kind: str) -> str:
        sources = {"templates": {"chat": BROKEN[kind]}, "compat": "strict"}
        return LocalAIPrompts(config().model_copy(update=sources)).chat([user("hi")])

    assert strict("does not parse") == "hi"
    assert strict("has no such field") == "hi"
    assert strict("is missing") == "chatml"


@pytest.mark.skipif(not CASES_FILE.exists(), reason="LocalAI's own conversations are not on this machine")
def test_conversations_are_built_as_localai_builds_them() -> None:
    wrong = [case["id"] for case in _cases() if _built(case, compat="strict") != case["expected"]]
    assert wrong == []


@pytest.mark.skipif(not CASES_FILE.exists(), reason="LocalAI's own conversations are not on this machine")
def test_where_localai_falls_back_there_is_an_error_instead() -> None:
    for case in _cases():
        if any("template" in note for note in case["notes"] or []):
            with pytest.raises(ModelUnusable):
                _built(case)
        else:
            assert _built(case) == case["expected"]


def _cases() -> Iterator[dict[str, Any]]:
    with CASES_FILE.open(newline="\n") as lines:
        yield from map(json.loads, lines)


def _built(case: Mapping[str, Any], **values: Any) -> str:
    settings = case["config"]
    template = {"join_chat_messages_by_character": settings["join_chat_messages_by_character"]}
    made = config(
        settings, roles=settings["roles"], system_prompt=settings["system_prompt"], template=template, **values
    )
    flags = {"use_functions": case["use_functions"], "grammar_set": case["grammar_set"]}
    return LocalAIPrompts(made).chat(case["messages"], case["functions"], **flags)
