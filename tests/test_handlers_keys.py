"""API keys, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.serving import FakeService, Server

KEYS = ("secret-1", "schlüssel")
ASK = {"model": "fake", "prompt": "hi", "max_tokens": 2}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    service = FakeService()
    with Server(service, api_keys=KEYS) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
    service.close()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer secret-"}, {"Authorization": "Basic secret-1"}])
@pytest.mark.parametrize("path", ["/v1/models", "/models", "/metrics", "/v1/nope"])
def test_without_a_key_everything_is_refused_in_openais_words(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    response = client.get(path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert "Authorization" in error["message"]
    assert "secret-1" not in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer secret-1"},
        {"authorization": "bearer secret-1"},
        {"x-api-key": "secret-1"},
        {"Authorization": "Bearer none", "x-api-key": "secret-1"},
        {"Authorization": b"Bearer " + "schlüssel".encode()},
    ],
)
def test_any_of_the_keys_opens_in_either_header(client: httpx.Client, headers: dict[str, str | bytes]) -> None:
    assert client.get("/v1/models", headers=httpx.Headers(headers)).status_code == 200
    assert client.post("/v1/completions", json=ASK, headers=httpx.Headers(headers)).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ready", "/readyz", "/ping"])
def test_health_is_told_to_everybody(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (200, 204)


def test_without_keys_nobody_is_asked_for_one() -> None:
    service = FakeService()
    with Server(service) as server:
        assert httpx.get(f"{server.url}/v1/models").status_code == 200
    service.close()
