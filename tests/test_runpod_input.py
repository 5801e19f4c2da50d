"""The forms that a RunPod job comes in."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import CoreError, InvalidRequest
from handlers.runpod_input import route_and_payload

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("asked", "route", "payload"),
    [
        (
            {"openai_route": "/v1/chat/completions", "openai_input": {"messages": MESSAGES}},
            "chat/completions",
            {"messages": MESSAGES},
        ),
        ({"openai_route": "/v1/models"}, "models", {}),
        ({"openai_route": "/v1/models?filter=smol"}, "models", {"filter": "smol"}),
        ({"openai_route": "/v1/models/my%20model"}, "models/my model", {}),
        ({"route": "/v1/embeddings", "method": "post", "body": {"input": "x"}}, "embeddings", {"input": "x"}),
        ({"route": "/v1/models", "method": "GET"}, "models", {}),
        (
            {"openai_route": "/v1/engines/owner/m/chat/completions", "openai_input": {"messages": MESSAGES}},
            "chat/completions",
            {"messages": MESSAGES, "model": "owner/m"},
        ),
        ({"route": "engines/m/completions", "body": {"prompt": "x"}}, "completions", {"prompt": "x", "model": "m"}),
        ({"route": "engines/m/completions", "body": [1]}, "completions", [1]),
        ({"messages": MESSAGES, "stream": True}, "chat/completions", {"messages": MESSAGES, "stream": True}),
        ({"prompt": "x", "model": "m"}, "completions", {"prompt": "x", "model": "m"}),
        ({"input": ["x", "y"]}, "embeddings", {"input": ["x", "y"]}),
        ({"instruction": "shorten", "input": "x"}, "edits", {"instruction": "shorten", "input": "x"}),
        ({"prompt": "x", "sampling_params": {"max_tokens": 4}}, "completions", {"prompt": "x", "max_tokens": 4}),
        ({"prompt": "x", "sampling_params": None}, "completions", {"prompt": "x"}),
    ],
)
def test_each_form_becomes_a_route_and_a_payload(asked: dict[str, Any], route: str, payload: object) -> None:
    assert route_and_payload({"id": "1", "input": asked}) == (route, payload)


@pytest.mark.parametrize("job", [{}, {"input": None}, {"input": "hello"}, {"input": []}, {"input": {"text": "hello"}}])
def test_any_other_form_is_an_error_that_tells_the_forms(job: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        route_and_payload({"id": "1", **job})
    assert caught.value.param == "input"
    for form in ("openai_route", "route", "messages", "prompt", "input", "sampling_params"):
        assert f'"{form}"' in caught.value.message


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"openai_route": 5}, 400, "route"),
        ({"route": None}, 400, "route"),
        ({"openai_route": "http://[bad/v1/models"}, 400, "route"),
        ({"openai_route": "/v1/nope"}, 404, None),
        ({"route": "/v1/models", "method": "DELETE"}, 405, None),
        ({"route": "/v1/completions", "method": "get"}, 405, None),
        ({"route": "/v1/engines/m/completions", "method": "GET"}, 405, None),
        ({"route": "/v1/engines/m/edits", "body": {}}, 404, None),
        ({"route": "/v1/engines/m/completions", "body": {"prompt": "x", "model": "n"}}, 400, "model"),
        ({"prompt": "x", "sampling_params": 4}, 400, "sampling_params"),
        ({"prompt": "x", "max_tokens": 3, "sampling_params": {"max_tokens": 4}}, 400, "max_tokens"),
    ],
)
def test_a_form_with_a_mistake_names_it(asked: dict[str, Any], status: int, param: str | None) -> None:
    with pytest.raises(CoreError) as caught:
        route_and_payload({"id": "1", "input": asked})
    assert (caught.value.status, caught.value.param) == (status, param)
