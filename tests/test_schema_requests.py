"""What requests mean before a model is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.errors import InvalidRequest
from core.schema.messages import Message
from core.schema.replies import Heading
from core.schema.requests import ChatRequest, CompletionRequest, EditRequest, Generation, ModelsQuery

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def test_a_value_of_zero_is_a_value() -> None:
    zeros = {"temperature": 0, "top_p": 0, "top_k": 0, "min_p": 0, "typical_p": 0, "repeat_last_n": 0, "mirostat": 0}
    sampling = Generation.parse(zeros | {"seed": 0}).sampling()
    assert {name: sampling[name] for name in zeros} == zeros
    assert sampling["seed"] == 0
    assert Generation.parse({}).sampling()["temperature"] is None


@pytest.mark.parametrize(("body", "limit"), [({}, None), ({"max_tokens": 7}, 7), ({"max_tokens": 0}, -1)])
def test_max_tokens_zero_is_no_limit(body: dict[str, Any], limit: int | None) -> None:
    assert Generation.parse(body).sampling()["max_tokens"] == limit


def test_max_completion_tokens_wins_and_says_so() -> None:
    request = Generation.parse({"max_tokens": 3, "max_completion_tokens": 4})
    assert request.sampling()["max_tokens"] == 4
    assert request.warnings == ["max_completion_tokens (4) wins over max_tokens (3)"]
    assert Generation.parse({"max_tokens": 4, "max_completion_tokens": 4}).warnings == []


def test_what_mirostat_replaces_is_named() -> None:
    body = {"mirostat": 2, "mirostat_tau": 4.0, "top_k": 5, "temperature": 0.5}
    assert Generation.parse(body).warnings == ["top_k has no effect beside mirostat"]
    assert Generation.parse(body | {"mirostat": 0}).warnings == []


@pytest.mark.parametrize(
    ("name", "value", "neutral"),
    [
        ("tfz", 0.5, 1),
        ("grammar", "root ::= x", ""),
        ("grammar_json_functions", {"oneOf": []}, {}),
        ("negative_prompt", "no", ""),
        ("rope_freq_base", 1e6, 0),
        ("backend", "vllm", ""),
        ("n", 2, 1),
    ],
)
def test_what_would_change_the_answer_and_is_not_carried_out_is_refused(name: str, value: Any, neutral: Any) -> None:
    with pytest.raises(InvalidRequest, match=name) as refused:
        ChatRequest.parse(HELLO | {name: value})
    assert refused.value.param == name
    assert ChatRequest.parse(HELLO | {name: neutral}).warnings == []


def test_what_changes_no_answer_is_accepted() -> None:
    assert ChatRequest.parse(HELLO | {"n_keep": 5, "batch": 512, "language": "en", "user": "me"}).warnings == []


def test_echo_is_for_prompts_that_are_text() -> None:
    assert CompletionRequest.parse({"prompt": ["a", "b"], "echo": True}).prompts() == ["a", "b"]
    with pytest.raises(InvalidRequest, match="tokens"):
        CompletionRequest.parse({"prompt": [[1, 2]], "echo": True}).prompts()
    with pytest.raises(InvalidRequest, match="echo"):
        ChatRequest.parse(HELLO | {"echo": True})


def test_an_edit_has_an_instruction_one_input_or_several_and_no_stream() -> None:
    assert EditRequest.parse({"instruction": "shorten"}).inputs() == [""]
    assert EditRequest.parse({"instruction": "shorten", "input": ["a", "b"], "stream": False}).inputs() == ["a", "b"]
    with pytest.raises(InvalidRequest, match="instruction"):
        EditRequest.parse({"input": "a"})
    with pytest.raises(InvalidRequest, match="stream"):
        EditRequest.parse({"instruction": "shorten", "stream": True})
    with pytest.raises(InvalidRequest, match="input"):
        EditRequest.parse({"instruction": "shorten", "input": []}).inputs()


def test_a_template_sees_calls_and_names_as_they_came() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "function_call": call["function"],
        "name": "x",
    }
    assert Message.model_validate(message).as_template_sees_it() == message | {"content": ""}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    seen = Message.model_validate({"role": "developer", "content": parts}).as_template_sees_it()
    assert seen == {"role": "system", "content": parts}


def test_a_role_may_be_any() -> None:
    [message] = ChatRequest.parse({"messages": [{"role": "narrator", "content": "x"}]}).messages
    assert message.as_template_sees_it()["role"] == "narrator"


def test_a_part_that_is_no_text_is_refused_with_the_remedy() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://h/i.png"}}
    with pytest.raises(InvalidRequest, match=r"'image_url' is not understood.*send parts of type 'text'") as refused:
        ChatRequest.parse({"messages": [{"role": "user", "content": [image]}]})
    assert refused.value.param == "messages.0.content.0.type"
    assert "Value error" not in refused.value.message


@pytest.mark.parametrize(("tools", "choice"), [("tools", "tool_choice"), ("functions", "function_call")])
def test_tools_that_must_not_be_called_are_no_tools(tools: str, choice: str) -> None:
    asked = HELLO | {tools: [{"name": "add"}]}
    assert ChatRequest.parse(asked | {choice: "none"}).warnings == []
    with pytest.raises(InvalidRequest, match=tools):
        ChatRequest.parse(asked | {choice: "auto"})


@pytest.mark.parametrize("name", ["repeat_last_n", "top_k"])
def test_what_llama_cpp_cannot_count_is_refused(name: str) -> None:
    assert getattr(Generation.parse({name: 2**31 - 1}), name) == 2**31 - 1
    with pytest.raises(InvalidRequest, match=f"{name}: must be less than or equal to 2147483647"):
        Generation.parse({name: 2**31})


def test_each_kind_of_reply_has_its_own_ids() -> None:
    edit = Heading("edit", "m").full([])
    assert (edit["object"], edit["id"].split("-")[0]) == ("edit", "edit")
    assert Heading("text_completion", "m").full([])["id"].startswith("cmpl-")


def test_the_list_of_models_is_filtered_with_go_s_expressions() -> None:
    query = ModelsQuery.parse({"filter": "^(?i)phi", "excludeConfigured": "false"})
    assert query.warnings == []
    assert [name for name in ("Phi-2", "my-phi") if query.selector()(name)] == ["Phi-2"]
    assert ModelsQuery.parse({}).selector()("any")
    with pytest.raises(InvalidRequest, match="filter"):
        ModelsQuery.parse({"filter": "("}).selector()


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "a\ud800"},
        {"prompt": ["b", "\udc00"]},
        {"prompt": "c", "user": "\ud83d"},
        {"prompt": "d", "metadata": {"e": [{"\ud83d": 1}]}},
        {"prompt": "e", "metadata": [1, "\ud83d"]},
    ],
)
def test_half_a_character_is_refused_and_named(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"half of a character, \\ud"):
        CompletionRequest.parse(body)


def test_of_many_unknown_parameters_some_are_named_and_all_counted() -> None:
    body = {"prompt": "x", "p" * 10**6: 0} | {f"x{number}": 0 for number in range(10_000)}
    warnings = CompletionRequest.parse(body).warnings
    assert warnings[-1] == "9993 more unknown parameters were ignored"
    assert sum(map(len, warnings)) < 1000


@pytest.mark.parametrize("name", ["mirostat_tau", "mirostat_eta"])
@pytest.mark.parametrize("value", [math.inf, math.nan, 1e300])
def test_what_is_no_number_to_llama_cpp_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidRequest, match=name):
        CompletionRequest.parse({"prompt": "x", name: value})


def test_too_many_stops_are_refused_with_their_number() -> None:
    assert len(CompletionRequest.parse({"prompt": "x", "stop": ["a"] * 64}).stop or "") == 64
    with pytest.raises(InvalidRequest, match="stop: has 65 texts, and a request may have 64"):
        CompletionRequest.parse({"prompt": "x", "stop": ["a"] * 65})
