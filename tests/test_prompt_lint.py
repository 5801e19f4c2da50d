"""What the doctor says of templates, each mistake on its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from core.config.model import ModelConfig
from core.config.problem import Problem
from core.config.templates import TemplateSource
from core.errors import InvalidRequest
from core.prompt.lint import lint

MESSAGE = "<|im_start|>{{.RoleName}}\n{{.Content}}<|im_end|>"
CHATML = {"chat_message": MESSAGE, "chat": "{{.Input}}\n<|im_start|>assistant\n"}


class Words:
    """A vocabulary of special tokens; every other character is a token of its own."""

    def __init__(self, *special: str, bos: str = "<s>", adds_bos: bool = False) -> None:
        self._special = [bos, "</s>", "<|im_end|>", *special]
        self._pattern = re.compile("|".join(map(re.escape, self._special)))
        self.adds_bos = adds_bos
        self.bos = 0
        self.end_tokens = {1, 2}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens: list[int] = []
        while text:
            match = self._pattern.match(text)
            tokens.append(self._special.index(match[0]) if match else 1000 + ord(text[0]))
            text = text[len(match[0]) if match else 1 :]
        return tokens

    def token_text(self, token: int) -> str:
        return self._special[token] if token < 1000 else chr(token - 1000)


class OwnChatml:
    """ChatML as a template inside the weights prints it."""

    def __init__(self, opening: str = "") -> None:
        self._opening = opening

    def render(self, messages: Any) -> str:
        turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        return self._opening + "".join(turns) + "<|im_start|>assistant\n"


class WithDefaultSystem:
    def render(self, messages: Any) -> str:
        default = [] if messages[0]["role"] == "system" else [{"role": "system", "content": "You are a model."}]
        return OwnChatml().render([*default, *messages])


class Refusing:
    def render(self, messages: Any) -> str:
        if any(message["role"] == "system" for message in messages):
            raise InvalidRequest("no system messages, please")
        return OwnChatml().render(messages)


CHATML_WORDS = Words("<|im_start|>")


def config(templates: dict[str, str], **values: Any) -> ModelConfig:
    sources = {kind: TemplateSource(text, f"m.yaml: template.{kind}") for kind, text in templates.items()}
    return ModelConfig(name="m", root=Path("/nowhere"), source=Path("m.yaml"), templates=sources, **values)


def said(templates: dict[str, str], own: Any = None, vocabulary: Words = CHATML_WORDS, **values: Any) -> list[Problem]:
    return lint(config(templates, **values), own, vocabulary)


def the_one(problems: list[Problem]) -> str:
    assert len(problems) == 1, problems
    return problems[0].message


def test_a_good_template_has_nothing_to_be_said_of() -> None:
    assert said(CHATML) == []
    assert said(CHATML, own=OwnChatml()) == []


def test_a_missing_cue_is_told_with_what_is_missing() -> None:
    assert "generation cue: the prompt should end with '\\n<|im_start|>assistant\\n'" in the_one(
        said(CHATML | {"chat": "{{.Input}}"})
    )


def test_dropped_roles_are_named() -> None:
    no_system = '{{if ne .RoleName "system"}}' + MESSAGE + "{{end}}"
    assert "system messages are dropped" in the_one(said(CHATML | {"chat_message": no_system}))


def test_turns_that_look_alike_are_told() -> None:
    problems = said({"chat": "<|im_start|>user\n{{.Input}}<|im_end|>\n<|im_start|>assistant\n"})
    assert "not told apart" in the_one(problems)


def test_an_answer_that_nothing_would_end_names_the_stopword_to_add() -> None:
    plain = {"chat_message": "{{.Role}} {{.Content}}", "chat": "{{.Input}}\nASSISTANT:"}
    roles = {"user": "USER:", "assistant": "ASSISTANT:", "system": "SYSTEM:"}
    assert "stopwords: ['USER:']" in the_one(said(plain, roles=roles))
    assert said(plain, roles=roles, stopwords=["USER:"]) == []


def test_an_end_of_turn_that_is_no_end_token_is_told() -> None:
    turn = {"chat_message": "<|im_start|>{{.RoleName}}\n{{.Content}}<|eot|>", "chat": CHATML["chat"]}
    vocabulary = Words("<|im_start|>", "<|eot|>")
    assert "stopwords: ['<|eot|>']" in the_one(said(turn, vocabulary=vocabulary))
    assert said(turn, vocabulary=vocabulary, stopwords=["<|eot|>"]) == []


def test_a_double_bos_and_a_missing_one() -> None:
    with_bos = CHATML | {"chat": "<s>" + CHATML["chat"]}
    adding = Words("<|im_start|>", adds_bos=True)
    assert "<s> is printed by the template and added" in the_one(said(with_bos, vocabulary=adding))
    missing, difference = said(CHATML, own=OwnChatml("<s>"))
    assert "<s> is missing" in missing.message
    assert "not that of the template inside the weights" in difference.message


def test_tokens_of_another_model_are_named() -> None:
    problems = said(CHATML, vocabulary=Words())
    assert "<|im_start|> is not a token of this model" in the_one(problems)


def test_a_difference_from_the_weights_own_template_is_shown_where_it_begins() -> None:
    differing = CHATML | {"chat": "{{.Input}}\n\n<|im_start|>assistant\n"}
    assert "stands where that has" in the_one(said(differing, own=OwnChatml()))


def test_a_default_text_of_the_weights_own_template_is_no_difference() -> None:
    assert said(CHATML, own=WithDefaultSystem()) == []


def test_a_template_that_refuses_system_messages_is_told() -> None:
    assert "refused: no system messages" in the_one(said({}, own=Refusing()))


def test_a_template_that_fails_for_system_messages_alone_is_told_with_its_line() -> None:
    failing = '{{if eq .RoleName "system"}}\n{{index .Content 99}}{{end}}' + MESSAGE
    [problem] = said(CHATML | {"chat_message": failing})
    assert (problem.key, problem.severity) == ("template.chat_message", "warning")
    assert problem.message.startswith("line 2: a conversation with a system message is refused: index")


def test_a_prompt_that_cannot_be_made_is_an_error_with_its_reason() -> None:
    [problem] = said(CHATML | {"chat": "{{index .Input 99}}"})
    assert problem.severity == "error"
    assert "template.chat" in str(problem)


def test_what_is_wrong_with_the_template_of_messages_is_told_once_and_with_its_line() -> None:
    broken = CHATML | {"chat_message": "x\n{{index .Content 99}}", "function": "{{.Input}} {{.Functions}}"}
    [problem] = said(broken)
    assert (problem.key, problem.severity) == ("template.chat_message", "error")
    assert problem.message == "line 2: index: there is no item 99 among 18"
    source = TemplateSource(broken["chat_message"], "/nowhere/m.tmpl")
    templates = config(broken).templates | {"chat_message": source}
    [problem] = lint(config(broken).model_copy(update={"templates": templates}), None, CHATML_WORDS)
    assert (problem.file, problem.line) == ("/nowhere/m.tmpl", 2)


def test_a_template_passed_over_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    said(CHATML | {"chat_message": "{{index .Content 99}}"}, compat="strict")
    assert [record.message.count("template.chat_message: line 1") for record in caplog.records] == [1]


def test_a_model_without_any_chat_template_is_only_warned_of() -> None:
    [problem] = said({})
    assert problem.severity == "warning"
    assert "no chat template" in problem.message


@pytest.mark.parametrize("kind", ["completion", "edit"])
def test_other_routes_templates_must_print_what_they_are_given(kind: str) -> None:
    assert "does not print all" in the_one(said(CHATML | {kind: "{{.SystemPrompt}}x"}))
    assert said(CHATML | {kind: "{{.Instruction}} {{.Input}}"}) == []


def test_a_template_for_tools_must_show_them() -> None:
    assert "does not name the tools" in the_one(said(CHATML | {"function": "{{.Input}}"}))
    assert said(CHATML | {"function": "{{toJson .Functions}} {{.Input}}"}) == []


def test_a_field_that_tools_do_not_have_is_named_even_where_no_probe_comes_to_it() -> None:
    hidden = "{{range .Functions}}{{.Title}}{{end}}{{.Input}}\n<|im_start|>assistant\n"
    assert "there is no .Title here" in the_one(said(CHATML | {"chat": hidden}))
